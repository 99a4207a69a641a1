"""Crops and error maps as pictures that a page can hold: PNG in data URIs."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

__all__ = [
    "GRADIENT",
    "colours",
    "error_map",
    "limits",
    "most_detailed",
    "picture",
    "spectral_angles",
]

UInt8 = NDArray[np.uint8]
Image = NDArray[np.floating[Any]]
Limits = tuple[Image, Image]
Mask = NDArray[np.bool_]

GRADIENT = ("#000004", "#1f0c48", "#550f6d", "#88226a", "#ba3655", "#e35933", "#f98c0a", "#f9c932", "#fcffa4")
"""Colours of errors from none to the most: nine samples of matplotlib's "inferno" (CC0)."""

_NO_DATA = 160
_DARKEST, _BRIGHTEST = 2, 98  # percentiles that become black and white
_PLACES = 12  # along each axis, where a crop may begin
_ENOUGH_VALID = 0.98


def most_detailed(pan: Image, valid: Mask, sides: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of the square with most detail in PAN `(height, width)`.

    Its side is the first of `sides`, in pixels, for which there is one with hardly any nodata, else the last;
    an image smaller than that is taken whole.
    """
    for side in sides:
        square, valid_share = _most_detailed(pan, valid, side)
        if valid_share >= _ENOUGH_VALID:
            break
    return square


def _most_detailed(pan: Image, valid: Mask, side: int) -> tuple[tuple[slice, slice], float]:
    rows, columns = (
        sorted({(size - min(side, size)) * k // (_PLACES - 1) for k in range(_PLACES)}) for size in pan.shape
    )
    best, found = (-1.0, -1.0), (slice(0, side), slice(0, side))
    for row in rows:
        for column in columns:
            square = slice(row, row + side), slice(column, column + side)
            inside = pan[square]
            detail = float(np.abs(np.diff(inside, axis=0)).mean() + np.abs(np.diff(inside, axis=1)).mean())
            merit = (min(float(valid[square].mean()), _ENOUGH_VALID), detail)
            if merit > best:
                best, found = merit, square
    return found, best[0]


def limits(image: Image, valid: Mask) -> Limits:
    """DN of every band that become black and white, `(bands, 1, 1)` each; by the valid pixels, if any."""
    pixels = image[:, valid if valid.any() else ~valid]
    low, high = np.percentile(pixels, [_DARKEST, _BRIGHTEST], axis=1)[..., None, None]
    return low, np.maximum(high, low + 1)


def colours(image: Image, bands: Sequence[int], stretch: Limits, valid: Mask) -> UInt8:
    """Three bands of `image` as red, green and blue, `(3, height, width)`; grey where there is no data."""
    low, high = (limit[list(bands)] for limit in stretch)
    levels = np.rint(255 * np.clip((image[list(bands)] - low) / (high - low), 0, 1))
    return np.where(valid, levels, _NO_DATA).astype(np.uint8)


def spectral_angles(truth: Image, image: Image) -> Image:
    """SAM of every pixel in degrees, `(height, width)`; NaN where a spectrum is black."""
    norms = np.sqrt((truth**2).sum(axis=0) * (image**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (truth * image).sum(axis=0) / norms
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def error_map(errors: Image, most: float) -> UInt8:
    """`errors` `(height, width)` from 0 to `most` in the colours of `GRADIENT`; NaN is grey."""
    anchors = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in GRADIENT])
    place = np.nan_to_num(np.clip(errors / most, 0, 1)) * (len(anchors) - 1)
    planes = [np.interp(place, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.where(np.isnan(errors), _NO_DATA, np.rint(np.stack(planes))).astype(np.uint8)


def picture(image: UInt8) -> str:
    """`(3, height, width)` as the data URI of a PNG."""
    bands, height, width = image.shape
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), MemoryFile() as memory:
        with memory.open(
            driver="PNG", count=bands, height=height, width=width, dtype="uint8", zlevel=9
        ) as dataset:
            dataset.write(image)
        content = memory.read()
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
