"""A product, the scene it was made from and perhaps the truth, read piece by piece for comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.registration import SHIFT_TAG, grid_of_product
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import AnyPath, MsPath, Raster, Scene, SceneOptions, open_pair, open_raster
from bnnpan_runtime.scene.raster import Part, whole_raster
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
    fused: Raster
    truth: Raster | None
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
def open_rasters(
    pan: AnyPath, ms: MsPath, fused: AnyPath, truth: AnyPath | None, options: SceneOptions
) -> Iterator[Rasters]:
    """Open everything and check that it fits. Raises SceneError."""
    with ExitStack() as stack:
        stack.enter_context(raster_cache(_CACHE_BYTES))
        made = stack.enter_context(open_raster("product", fused))
        scene = _as_fused(stack.enter_context(open_pair(pan, ms, options, Scene.bands_of(made))), made)
        product, reference = _whole(made), None
        if truth is not None:
            reference = _whole(stack.enter_context(open_raster("truth", truth)))
        for raster in (product, reference):
            if raster is not None and (*raster.shape, raster.count) != (
                scene.height,
                scene.width,
                scene.bands,
            ):
                raise SceneError(
                    f"{raster.name}: {raster.count} bands of {raster.width} x {raster.height} pixels, but PAN"
                    f" and MS make {scene.bands} of {scene.width} x {scene.height}"
                )
        yield Rasters(scene, product, reference, Resampler(scene.grid, "centred"))


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
    scene = rasters.scene
    pan = np.empty((1, window.height, window.width), scene.dtype)
    scene.read_pan(window, pan[0])
    fused = _read(rasters.fused, window)
    truth = None if rasters.truth is None else _read(rasters.truth, window)
    valid = np.ones((window.height, window.width), np.bool_)
    for raster, values in ((scene.pan, pan), (rasters.fused, fused), (rasters.truth, truth)):
        if raster is not None and values is not None and raster.absence.marker is not None:
            valid &= (values != raster.absence.marker).all(axis=0)
    images = {"fused": fused, "interpolated": _interpolate(rasters, window)}
    return Piece(core, window, images, pan[0], truth, valid)


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


def _as_fused(scene: Scene, product: DatasetReader) -> Scene:
    """The scene with MS where it was found to lie when the product was made. Raises SceneError."""
    tags = product.tags()
    try:
        return replace(scene, grid=grid_of_product(scene.grid, tags))
    except ValueError as error:
        raise SceneError(
            f"{product.name}: its tag {SHIFT_TAG}={tags[SHIFT_TAG][:80]!r} is no shift ({error});"
            " is this a product of bnnpan?"
        ) from error


def _whole(dataset: DatasetReader) -> Raster:
    return whole_raster([Part(dataset, tuple(dataset.indexes))])


def _read(raster: Raster, window: Window) -> NDArray[Any]:
    pixels = np.empty((raster.count, window.height, window.width), raster.dtype)
    raster.read(window, pixels)
    return pixels
