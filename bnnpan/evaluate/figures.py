"""The pictures of one scene as HTML: every method in the same crop under the same stretch and scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

import numpy as np

from bnnpan.evaluate.curves import Curve, histogram
from bnnpan.evaluate.gallery import Exhibit
from bnnpan.evaluate.methods import INTERPOLATION
from bnnpan.evaluate.pictures import (
    GRADIENT,
    Image,
    UInt8,
    colours,
    error_map,
    limits,
    picture,
    spectral_angles,
)

__all__ = ["figures"]

_NEAR_INFRARED = ("nir", "nir1", "nir2")
_SCALE_PERCENTILE = 98  # of interpolation's error: the brightest colour
_PANEL = 256  # pixels on the screen, filled by a whole number for each of the image


def figures(exhibit: Exhibit, emphasis: Mapping[str, str]) -> str:
    """True colour, false colour, error maps and histograms; `emphasis` gives the colours of some curves."""
    parts: list[str] = []
    for title, roles in _composites(exhibit):
        pan = [] if parts else [_figure(_drawn_pan(exhibit), "PAN")]
        parts.append(_section(title, [*pan, *_composite(exhibit, roles)]))
    if exhibit.gt is not None:
        parts += _errors(exhibit, exhibit.gt)
    parts.append(_histograms(exhibit, emphasis))
    return "\n".join(parts)


def _composites(exhibit: Exhibit) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Title and bands of the colour pictures that the bands allow."""
    index = {band: number for number, band in enumerate(exhibit.bands)}
    infrared = next((index[band] for band in _NEAR_INFRARED if band in index), None)
    if {"red", "green", "blue"} <= index.keys():
        yield "True colour (red, green, blue)", (index["red"], index["green"], index["blue"])
    if infrared is not None and {"red", "green"} <= index.keys():
        yield "False colour (near infrared, red, green)", (infrared, index["red"], index["green"])
    if not {"red", "green"} <= index.keys():
        yield f"First band ({exhibit.bands[0]})", (0, 0, 0)


def _composite(exhibit: Exhibit, roles: tuple[int, int, int]) -> Iterator[str]:
    reference = exhibit.lms if exhibit.gt is None else exhibit.gt
    stretch = limits(reference, exhibit.valid)

    def draw(image: Image) -> UInt8:
        return colours(image, roles, stretch, exhibit.valid)

    yield _figure(draw(exhibit.lms), f"LMS ({INTERPOLATION})")
    if exhibit.gt is not None:
        yield _figure(draw(exhibit.gt), "ground truth")
    for method, image in exhibit.crops.items():
        if method != INTERPOLATION:
            yield _figure(draw(image), method)


def _drawn_pan(exhibit: Exhibit) -> UInt8:
    return colours(exhibit.pan, (0, 0, 0), limits(exhibit.pan, exhibit.valid), exhibit.valid)


def _errors(exhibit: Exhibit, truth: Image) -> list[str]:
    def absolute(image: Image) -> Image:
        return np.asarray(np.abs(image - truth).mean(axis=0))

    def angle(image: Image) -> Image:
        return spectral_angles(truth, image)

    return [
        _error_section("Spectral angle", "°", exhibit, angle),
        _error_section("Absolute error, mean over bands", " DN", exhibit, absolute),
    ]


def _error_section(title: str, unit: str, exhibit: Exhibit, measure: Callable[[Image], Image]) -> str:
    def masked(image: Image) -> Image:
        return np.where(exhibit.valid, measure(image), np.nan)

    errors = {f"LMS ({INTERPOLATION})": masked(exhibit.lms)} | {
        method: masked(image) for method, image in exhibit.crops.items() if method != INTERPOLATION
    }
    most = _scale(next(iter(errors.values())))
    drawn = (
        _figure(error_map(of_method, most), f"{method}: {_mean(of_method)}{unit}")
        for method, of_method in errors.items()
    )
    return _section(f"{title} {_legend(most, unit)}", drawn)


def _scale(errors: Image) -> float:
    """What the brightest colour means, two digits."""
    known = errors[np.isfinite(errors)]
    most = float(np.percentile(known, _SCALE_PERCENTILE)) if known.size else 0.0
    return float(f"{most:.1e}") if most > 0 else 1.0


def _mean(errors: Image) -> str:
    known = errors[np.isfinite(errors)]
    return f"{known.mean():.2f}" if known.size else "-"


def _legend(most: float, unit: str) -> str:
    return (
        f'<span class="legend">0 <i style="background:linear-gradient(to right,{",".join(GRADIENT)})"></i>'
        f" {most:g}{unit} and more</span>"
    )


def _histograms(exhibit: Exhibit, emphasis: Mapping[str, str]) -> str:
    plots = []
    for band, role in enumerate(exhibit.bands):
        curves = [
            Curve(method, shares[band], emphasis.get(method, ""))
            for method, shares in exhibit.distributions.items()
        ]
        low, high = exhibit.edges[band][[0, -1]]
        plots.append(
            histogram(role, exhibit.reference[band], curves, f"{low + 0.5:.0f}", f"{high - 0.5:.0f} DN")
        )
    keys = [f'<span style="color:{colour}">{escape(name)}</span>' for name, colour in emphasis.items()]
    area = "LMS" if exhibit.gt is None else "ground truth"
    title = f'Histograms of the whole scene <span class="legend">{", ".join(keys)}; area: {area}</span>'
    return _section(title, plots)


def _section(title: str, content: Iterator[str] | list[str]) -> str:
    return f'<h4>{title}</h4>\n<div class="grid">\n' + "\n".join(content) + "\n</div>"


def _figure(image: UInt8, caption: str) -> str:
    width = max(1, _PANEL // image.shape[2]) * image.shape[2]
    label = escape(caption)
    return (
        f'<figure style="width:{width}px"><img src="{picture(image)}" alt="{label}">'
        f"<figcaption>{label}</figcaption></figure>"
    )
