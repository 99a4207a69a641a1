"""Distributions as small line drawings in SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "histogram"]

_WIDTH, _HEIGHT = 256, 120
_BACKGROUND, _AREA = "#bbb", "#dcdcdc"


@dataclass(frozen=True)
class Curve:
    """Shares of pixels by bin; without a colour it stays in the background."""

    name: str
    shares: NDArray[np.float64]
    colour: str


def histogram(
    title: str, reference: NDArray[np.float64], curves: Sequence[Curve], low: str, high: str
) -> str:
    """A figure of `reference` as an area and methods as lines, emphasised ones on top.

    `low` and `high` label the ends of the axis.
    """
    top = 1.15 * float(reference.max()) or 1.0
    ordered = sorted(curves, key=lambda curve: bool(curve.colour))
    lines = "\n".join(_line(curve, top) for curve in ordered)
    area = f'<polygon fill="{_AREA}" points="0,{_HEIGHT} {_points(reference, top)} {_WIDTH},{_HEIGHT}"/>'
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{area}\n{lines}</svg>'
        f'<figcaption class="axis"><span>{low}</span>{escape(title)}<span>{high}</span></figcaption></figure>'
    )


def _line(curve: Curve, top: float) -> str:
    colour, width = (curve.colour, 1.6) if curve.colour else (_BACKGROUND, 0.7)
    style = f'stroke="{colour}" stroke-width="{width}"'
    return (
        f'<polyline fill="none" {style} points="{_points(curve.shares, top)}">'
        f"<title>{escape(curve.name)}</title></polyline>"
    )


def _points(shares: NDArray[np.float64], top: float) -> str:
    x = (np.arange(len(shares)) + 0.5) / len(shares) * _WIDTH
    y = _HEIGHT * (1 - np.minimum(shares / top, 1))
    return " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=True))
