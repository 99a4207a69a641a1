"""A product, the scene it was made from and perhaps the truth, read piece by piece for comparison."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError, one_line
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene, grid_of, nodata_of
from bnnpan_runtime.storage import raster_cache
from bnnpan_runtime.units import normalise

__all__ = ["Piece", "Rasters", "open_rasters", "read_piece", "windows"]

_SIDE = 512
_CACHE_BYTES = 16 * MIB

Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Rasters:
    """Open rasters that belong together."""

    scene: Scene
    fused: DatasetReader
    truth: DatasetReader | None
    resampler: Resampler


@dataclass(frozen=True)
class Piece:
    """One window with its surroundings, in DN; planes have the shape of `window`, `core` is to be counted.

    images  "fused" and "interpolated" (LMS), `(bands, height, width)`
    truth   `(bands, height, width)`, None without one
    valid   where every raster has data
    """

    core: Window
    window: Window
    images: Mapping[str, NDArray[Any]]
    pan: NDArray[Any]
    truth: NDArray[Any] | None
    valid: NDArray[np.bool_]

    def inner(self, margin: int) -> Slices:
        """The core within the window, without what is nearer than `margin` to the window's edge."""
        core, window = self.core, self.window
        return (
            slice(
                max(core.row - window.row, margin),
                min(core.row - window.row + core.height, window.height - margin),
            ),
            slice(
                max(core.col - window.col, margin),
                min(core.col - window.col + core.width, window.width - margin),
            ),
        )


@contextmanager
def open_rasters(pan: str, ms: str, fused: str, truth: str | None) -> Iterator[Rasters]:
    """Open everything and check that it fits. Raises SceneError."""
    with ExitStack() as stack:
        stack.enter_context(raster_cache(_CACHE_BYTES))
        pan_raster, ms_raster, product = (stack.enter_context(_open(path)) for path in (pan, ms, fused))
        reference = None if truth is None else stack.enter_context(_open(truth))
        for raster in (product, reference):
            if raster is not None and (raster.shape, raster.count) != (pan_raster.shape, ms_raster.count):
                raise SceneError(
                    f"{raster.name}: {raster.count} bands of {raster.width} x {raster.height} pixels, but PAN"
                    f" and MS make {ms_raster.count} of {pan_raster.width} x {pan_raster.height}"
                )
        grid = grid_of(pan_raster, ms_raster)
        grid.check_cover(pan_raster.shape, ms_raster.shape)
        markers = (nodata_of(pan_raster), nodata_of(ms_raster))
        scene = Scene(pan_raster, ms_raster, grid, str(ms_raster.dtypes[0]), 1.0, *markers)
        yield Rasters(scene, product, reference, Resampler(grid, "centred"))


def windows(rasters: Rasters) -> list[Window]:
    """Cores that cover the PAN grid."""
    height, width = rasters.fused.shape
    return [
        Window(row, col, min(_SIDE, height - row), min(_SIDE, width - col))
        for row in range(0, height, _SIDE)
        for col in range(0, width, _SIDE)
    ]


def read_piece(rasters: Rasters, core: Window, halo: int) -> Piece:
    """Read one core and up to `halo` pixels around it. Raises SceneError."""
    height, width = rasters.fused.shape
    row, col = max(core.row - halo, 0), max(core.col - halo, 0)
    bottom, right = min(core.row + core.height + halo, height), min(core.col + core.width + halo, width)
    window = Window(row, col, bottom - row, right - col)
    planes, valid = [], np.ones((window.height, window.width), np.bool_)
    for raster in (rasters.fused, rasters.scene.pan, rasters.truth):
        if raster is None:
            continue
        values = _read(raster, window)
        planes.append(values)
        marker = nodata_of(raster)
        if marker is not None:
            valid &= (values != marker).all(axis=0)
    images = {"fused": planes[0], "interpolated": _interpolate(rasters, window)}
    return Piece(core, window, images, planes[1][0], planes[2] if rasters.truth else None, valid)


def _interpolate(rasters: Rasters, window: Window) -> NDArray[np.float32]:
    scene, resampler = rasters.scene, rasters.resampler
    area = resampler.ms_window(window)
    dn = np.empty((scene.bands, area.height, area.width), scene.dtype)
    scene.read_ms(area, dn)
    ms = np.empty(dn.shape, np.float32)
    normalise(dn, (0.0,), (1.0,), scene.ms_nodata, ms)
    lms = np.empty((scene.bands, window.height, window.width), np.float32)
    scratch = np.empty(resampler.scratch_floats(scene.bands, window.height, window.width), np.float32)
    resampler.interpolate(ms, window, lms, scratch)
    return lms


@contextmanager
def _open(path: str) -> Iterator[DatasetReader]:
    try:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
            raster = rasterio.open(path)
    except RasterioError as error:
        raise SceneError(f"{path}: not a raster that can be read ({one_line(error)})") from error
    with raster:
        yield raster


def _read(raster: DatasetReader, window: Window) -> NDArray[Any]:
    area = RasterioWindow(window.col, window.row, window.width, window.height)
    try:
        return np.asarray(raster.read(window=area))
    except RasterioError as error:
        raise SceneError(f"{raster.name}: cannot read {area} ({one_line(error)})") from error
