"""How a figure is spread over the scenes, as SVG that takes its colours from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["histogram"]

_WIDTH, _HEIGHT = 340, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 10, 10, 18, 24
_BINS = 16


def histogram(name: str, values: Sequence[float], note: str) -> str:
    """Bars of equal width from the smallest to the largest value; `note` says which side is better."""
    low, high = min(values), max(values)
    counts = [0] * _BINS
    for value in values:
        place = (value - low) / (high - low) if high > low else 0.5
        counts[min(int(place * _BINS), _BINS - 1)] += 1
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    scale = (_HEIGHT - _TOP - _BOTTOM) / max(counts)
    floor = _HEIGHT - _BOTTOM
    step = (high - low) / _BINS
    bars = "".join(
        f'<rect class="bar" x="{_LEFT + place * width:.1f}" y="{floor - count * scale:.1f}"'
        f' width="{width - 1:.1f}" height="{count * scale:.1f}">'
        f"<title>{count} from {low + place * step:.4g} to {low + (place + 1) * step:.4g}</title></rect>"
        for place, count in enumerate(counts)
        if count
    )
    marks = (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{low:.4g}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{high:.4g}</text>'
        f'<text class="name" x="{_LEFT}" y="12">{escape(name)}, {escape(note)}</text>'
    )
    label = escape(f"{name} of {len(values)} scenes")
    head = f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
    return f"{head}{marks}{bars}</svg>"
