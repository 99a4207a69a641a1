"""Pictures of a product for people: PAN, MS and product side by side in true colour, as PNG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from bnnpan_runtime.errors import OutputError, SceneError, one_line
from bnnpan_runtime.pieces import grid_of

__all__ = ["draw_comparison", "write_png"]

_SIDE = 400
"""Pixels along each side of a panel."""

_GAP = 6
_OVERVIEW = 512
_CACHE_BYTES = 8 * 2**20
_DARKEST, _BRIGHTEST = 1, 99  # percentiles that become black and white

UInt8 = NDArray[np.uint8]
Limits = tuple[NDArray[np.float32], NDArray[np.float32]]


def draw_comparison(pan: str, ms: str, product: str, picture: Path, band_roles: Sequence[str]) -> None:
    """Draw PAN, MS and product of the square with most detail, at full resolution, next to each other.

    `band_roles` names the bands; red, green and blue are shown, or the first band in grey without them. MS
    and product share one stretch. Raises SceneError if a raster cannot be read, OutputError if the picture
    cannot be written.
    """
    shown = [band_roles.index(role) + 1 for role in ("red", "green", "blue") if role in band_roles]
    bands = shown if len(shown) == 3 else [1, 1, 1]
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES),
            rasterio.open(pan) as pan_raster,
            rasterio.open(ms) as ms_raster,
            rasterio.open(product) as fused,
        ):
            square = _most_detailed(pan_raster)
            coarse = _read_enlarged(ms_raster, bands, pan_raster, square)
            limits = _limits(coarse)
            fused_panel = _stretch(fused.read(bands, window=square), limits)
            grey = pan_raster.read([1, 1, 1], window=square)
            pan_panel, ms_panel = _stretch(grey, _limits(grey)), _stretch(coarse, limits)
    except RasterioError as error:
        raise SceneError(f"cannot draw the preview: {one_line(error)}") from error
    gap = np.full((3, pan_panel.shape[1], _GAP), 255, np.uint8)
    write_png(picture, np.concatenate([pan_panel, gap, ms_panel, gap, fused_panel], axis=2))


def write_png(picture: Path, image: UInt8) -> None:
    """Write `(3, height, width)` uint8 as PNG. Raises OutputError."""
    bands, height, width = image.shape
    profile = {"driver": "PNG", "height": height, "width": width, "count": bands, "dtype": "uint8"}
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(picture, "w", **profile) as dataset,
        ):
            dataset.write(image)
    except (OSError, RasterioError) as error:
        raise OutputError(f"{picture}: cannot write picture: {one_line(error)}") from error


def _limits(image: NDArray[Any]) -> Limits:
    """Per band, the values that become black and white, as `(bands, 1, 1)`."""
    low, high = np.percentile(image, [_DARKEST, _BRIGHTEST], axis=(1, 2)).astype(np.float32)
    return low[:, None, None], np.maximum(high, low + 1)[:, None, None]


def _stretch(image: NDArray[Any], limits: Limits) -> UInt8:
    low, high = limits
    return np.asarray(np.rint(255 * np.clip((image - low) / (high - low), 0, 1)), np.uint8)


def _most_detailed(pan: DatasetReader) -> Window:
    """The square where neighbouring pixels of an overview differ most; a whole small scene."""
    height, width = min(_SIDE, pan.height), min(_SIDE, pan.width)
    step = max(1, max(pan.shape) // _OVERVIEW)
    overview = pan.read(1, out_shape=(pan.height // step, pan.width // step)).astype(np.float32)
    overview = np.clip(overview, *np.percentile(overview, [_DARKEST, _BRIGHTEST]))
    change = np.abs(np.diff(overview, axis=0))[:, 1:] + np.abs(np.diff(overview, axis=1))[1:]
    rows, cols = max(1, height // step - 1), max(1, width // step - 1)
    best, place = -1.0, (0, 0)
    for row in range(0, change.shape[0] - rows + 1, max(1, rows // 3)):
        for col in range(0, change.shape[1] - cols + 1, max(1, cols // 3)):
            detail = float(change[row : row + rows, col : col + cols].mean())
            if detail > best:
                best, place = detail, (row * step, col * step)
    return Window(min(place[1], pan.width - width), min(place[0], pan.height - height), width, height)


def _read_enlarged(
    ms: DatasetReader, bands: Sequence[int], pan: DatasetReader, square: Window
) -> NDArray[Any]:
    """MS of a square of PAN, its pixels repeated so that it covers the same ground at the same size."""
    grid = grid_of(pan, ms)
    rows = _ms_index(int(square.row_off), int(square.height), grid.row_offset, grid.ratio, ms.height)
    cols = _ms_index(int(square.col_off), int(square.width), grid.col_offset, grid.ratio, ms.width)
    area = Window(cols[0], rows[0], cols[-1] - cols[0] + 1, rows[-1] - rows[0] + 1)
    image = ms.read(bands, window=area)
    return np.asarray(image[:, (rows - rows[0])[:, None], cols - cols[0]])


def _ms_index(start: int, count: int, offset: float, ratio: int, length: int) -> NDArray[np.intp]:
    """MS row or column that holds the centre of each of `count` PAN rows or columns from `start`."""
    centres = np.arange(start, start + count) + (offset + 0.5)
    return np.asarray(np.clip(np.floor(centres / ratio), 0, length - 1), np.intp)
