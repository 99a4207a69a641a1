"""A tile from DN to DN: in one call where the backend takes DN, through float images where it does not."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.graph.protocol import Backend, DnTile, Float32, TileBackend, TileShape
from bnnpan_runtime.images import fill_images, image_arrays
from bnnpan_runtime.memory import Arrays, allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.units import quantise

__all__ = ["TileEngine", "engine_arrays", "float_images", "tile_engine"]

Buffers = dict[str, NDArray[Any]]


class TileEngine(Protocol):
    """Where one thread computes tiles, with buffers of its own."""

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        """Fill `tile.product`, the core of the tile at `window` of the scene."""
        ...


def engine_arrays(
    backend: Backend | TileBackend, resampler: Resampler, bands: int, height: int, width: int
) -> Arrays:
    """Shapes and dtypes of the buffers that windows of this size take, by name."""
    if isinstance(backend, TileBackend):
        shape = TileShape.whole(height, width)
        arena_bytes = backend.tile_arena_bytes(shape, resampler.row_taps, resampler.col_taps)
        return {"arena": ((arena_bytes,), np.uint8)}
    return {
        "arena": ((backend.memory(height, width).arena_bytes,), np.uint8),
        "hrms": ((bands, height, width), np.float32),
        **image_arrays(resampler, bands, height, width),
    }


def tile_engine(backend: Backend | TileBackend, resampler: Resampler, arrays: Arrays) -> TileEngine:
    """An engine with the buffers of `engine_arrays`."""
    buffers = {name: allocate(*array) for name, array in arrays.items()}
    if isinstance(backend, TileBackend):
        return _DirectEngine(backend, buffers)
    return _FloatEngine(backend, resampler, buffers)


def float_images(tile: DnTile, window: Window, resampler: Resampler) -> tuple[Float32, Float32]:
    """PAN `(1, height, width)` and LMS `(bands, height, width)` of a tile in network units, as new arrays."""
    arrays = image_arrays(resampler, len(tile.ms), *tile.pan.shape)
    buffers: Buffers = {name: np.empty(*array) for name, array in arrays.items()}
    _fill(buffers, tile, window, resampler)
    return buffers["pan"], buffers["lms"]


def _fill(buffers: Buffers, tile: DnTile, window: Window, resampler: Resampler) -> None:
    nodata = (tile.pan_nodata, tile.ms_nodata)
    fill_images(buffers, (tile.pan, tile.ms), nodata, tile.units, window, resampler, tile.shrunk)


class _DirectEngine:
    def __init__(self, backend: TileBackend, buffers: Buffers) -> None:
        self._backend = backend
        self._arena: NDArray[np.uint8] = buffers["arena"]

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        self._backend.fuse_tile(tile, affines, self._arena)


class _FloatEngine:
    def __init__(self, backend: Backend, resampler: Resampler, buffers: Buffers) -> None:
        self._backend, self._resampler, self._buffers = backend, resampler, buffers

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        buffers, shape = self._buffers, tile.shape
        _fill(buffers, tile, window, self._resampler)
        self._backend.fuse(buffers["pan"], buffers["lms"], affines, buffers["hrms"], buffers["arena"])
        rows = slice(shape.core_row, shape.core_row + shape.core_height)
        cols = slice(shape.core_col, shape.core_col + shape.core_width)
        units = tile.units
        quantise(buffers["hrms"][:, rows, cols], units.ms_offset, units.ms_scale, tile.product)
