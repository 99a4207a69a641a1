"""Pictures of a product for people: PAN, MS and product side by side in true colour, as PNG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # closing a dataset may raise one, and it is no RasterioError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from bnnpan_runtime.contract import Window as SceneWindow
from bnnpan_runtime.errors import OutputError, SceneError, one_line
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.scene import AnyPath, MsPath, Scene, SceneOptions, open_pair
from bnnpan_runtime.storage import raster_cache

__all__ = ["black_and_white", "draw_comparison", "shown_bands", "stretched", "write_png"]

_SIDE = 400
"""Pixels along each side of a panel."""

_GAP = 6

_SQUARES = 8
"""Along each axis of the scene, how many squares are looked at."""

_THINNING = 4
"""Every fourth row and column is looked at: detail that shows in a picture is larger than noise."""

_CACHE_BYTES = 2 * MIB
_DARKEST, _BRIGHTEST = 1, 99  # percentiles that become black and white

UInt8 = NDArray[np.uint8]


def draw_comparison(
    pan: AnyPath,
    ms: MsPath,
    product: AnyPath,
    picture: Path,
    band_roles: Sequence[str | None],
    options: SceneOptions = SceneOptions(),  # noqa: B008  # frozen
) -> None:
    """Draw PAN, MS and product of the square with most detail, at full resolution, next to each other.

    `options` are those of the product. `band_roles` names the bands, else the product's own descriptions do;
    red, green and blue are shown, or the first band in grey without them. MS and product share one stretch.
    Takes a few MiB whatever the scene. Raises SceneError if a raster cannot be read, OutputError if the
    picture cannot be written.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            raster_cache(_CACHE_BYTES),
            rasterio.open(product) as fused,
            open_pair(pan, ms, options, Scene.bands_of(fused)) as scene,
        ):
            described = [(description or "").lower() for description in fused.descriptions]
            image = _panels(scene, fused, shown_bands(band_roles if any(band_roles) else described))
    except RasterioError as error:
        raise SceneError(f"cannot draw the preview: {one_line(error)}") from error
    write_png(picture, image)


def shown_bands(roles: Sequence[str | None]) -> list[int]:
    """Bands, counted from 1, to be drawn as red, green and blue: without these, always the first."""
    shown = [roles.index(role) + 1 for role in ("red", "green", "blue") if role in roles]
    return shown if len(shown) == 3 else [1, 1, 1]


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
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise OutputError(
            f"{picture}: cannot write the picture ({one_line(error)}); check folder and space"
        ) from error


def _panels(scene: Scene, fused: DatasetReader, bands: Sequence[int]) -> UInt8:
    square = _most_detailed(scene)
    height, width = int(square.height), int(square.width)
    image = np.full((3, height, 3 * width + 2 * _GAP), 255, np.uint8)
    grey = _read_pan(scene, square)
    image[:, :, :width] = stretched(grey, black_and_white(grey))
    for plane, band in zip(image, bands, strict=True):
        coarse = _read_enlarged(scene, band, square)
        limits = black_and_white(coarse)
        plane[:, width + _GAP : 2 * width + _GAP] = stretched(coarse, limits)
        plane[:, 2 * (width + _GAP) :] = stretched(fused.read(band, window=square), limits)
    return image


def black_and_white(plane: NDArray[Any]) -> tuple[np.float32, np.float32]:
    """Values that become black and white: all but the darkest and the brightest hundredth lie between."""
    low, high = np.percentile(plane, [_DARKEST, _BRIGHTEST]).astype(np.float32)
    return low, max(high, low + np.float32(1))


def stretched(plane: NDArray[Any], limits: tuple[np.float32, np.float32]) -> UInt8:
    """A plane from 0 to 255."""
    low, high = limits
    return np.asarray(np.rint(255 * np.clip((plane - low) / (high - low), 0, 1)), np.uint8)


def _most_detailed(scene: Scene) -> Window:
    """Of squares spread over the scene, the one where neighbouring pixels, thinned out, differ most."""
    height, width = min(_SIDE, scene.height), min(_SIDE, scene.width)
    shape = (-(-height // _THINNING), -(-width // _THINNING))
    most, found = -1.0, Window(0, 0, width, height)
    for row in _starts(scene.height, height):
        for col in _starts(scene.width, width):
            square = Window(col, row, width, height)
            plane = _read_pan(scene, square, shape).astype(np.float32)
            plane = plane.clip(*black_and_white(plane))
            detail = float(np.abs(np.diff(plane, axis=0)).mean() + np.abs(np.diff(plane, axis=1)).mean())
            if detail > most:
                most, found = detail, square
    return found


def _starts(length: int, side: int) -> list[int]:
    """Where squares begin along one axis: side by side, or `_SQUARES` of them."""
    count = min(_SQUARES, -(-length // side))
    return [(length - side) * k // max(count - 1, 1) for k in range(count)]


def _read_pan(scene: Scene, square: Window, shape: tuple[int, int] | None = None) -> NDArray[Any]:
    """PAN of a square of the scene, thinned out to `shape`."""
    area = scene.area
    moved = Window(square.col_off + area.col, square.row_off + area.row, square.width, square.height)
    return np.asarray(scene.pan.first.read(scene.pan.parts[0].bands[0], window=moved, out_shape=shape))


def _read_enlarged(scene: Scene, band: int, square: Window) -> NDArray[Any]:
    """MS of a square of the scene, its pixels repeated so that it covers the same ground at the same size."""
    rows = scene.grid.ms_rows(int(square.row_off), int(square.height))
    cols = scene.grid.ms_cols(int(square.col_off), int(square.width))
    area = SceneWindow(rows[0], cols[0], rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1)
    planes = np.empty((scene.bands, area.height, area.width), scene.dtype)
    scene.read_ms(area, planes)
    return np.asarray(planes[band - 1][(rows - rows[0])[:, None], cols - cols[0]])
