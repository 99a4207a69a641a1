"""A tile from DN to DN: in one call where the backend takes DN, through float images where it does not."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.graph.protocol import Backend, DnTile, Float32, TileBackend, TileShape
from bnnpan_runtime.memory import Arrays, allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.units import normalise, quantise

__all__ = ["TileEngine", "engine_arrays", "tile_engine"]


class TileEngine(Protocol):
    """Where one thread computes tiles, with buffers of its own."""

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        """Fill `tile.product`, the core of the tile at `window` of the scene."""
        ...


def engine_arrays(backend: Backend, resampler: Resampler, bands: int, height: int, width: int) -> Arrays:
    """Shapes and dtypes of the buffers that windows of this size take, by name."""
    if isinstance(backend, TileBackend):
        shape = TileShape(height, width, 0, 0, height, width, 0, 0)
        arena_bytes = backend.tile_arena_bytes(shape, resampler.row_taps, resampler.col_taps)
        return {"arena": ((arena_bytes,), np.uint8)}
    ms_height, ms_width = resampler.largest_ms_window(height, width)
    return {
        "arena": ((backend.memory(height, width).arena_bytes,), np.uint8),
        "pan": ((1, height, width), np.float32),
        "ms": ((bands * ms_height * ms_width,), np.float32),
        "lms": ((bands, height, width), np.float32),
        "hrms": ((bands, height, width), np.float32),
        "scratch": ((resampler.scratch_floats(bands, height, width),), np.float32),
    }


def tile_engine(backend: Backend, resampler: Resampler, arrays: Arrays) -> TileEngine:
    """An engine with the buffers of `engine_arrays`."""
    buffers = {name: allocate(*array) for name, array in arrays.items()}
    if isinstance(backend, TileBackend):
        return _DirectEngine(backend, buffers)
    return _FloatEngine(backend, resampler, buffers)


class _DirectEngine:
    def __init__(self, backend: TileBackend, buffers: dict[str, NDArray[Any]]) -> None:
        self._backend = backend
        self._arena: NDArray[np.uint8] = buffers["arena"]

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        self._backend.fuse_tile(tile, affines, self._arena)


class _FloatEngine:
    def __init__(self, backend: Backend, resampler: Resampler, buffers: dict[str, NDArray[Any]]) -> None:
        self._backend, self._resampler, self._buffers = backend, resampler, buffers

    def fuse(self, tile: DnTile, window: Window, affines: Float32) -> None:
        buffers, shape = self._buffers, tile.shape
        pan, lms, hrms = buffers["pan"], buffers["lms"], buffers["hrms"]
        ms = buffers["ms"][: tile.ms.size].reshape(tile.ms.shape)
        normalise(tile.pan, tile.dn_scale, tile.pan_nodata, pan[0])
        normalise(tile.ms, tile.dn_scale, tile.ms_nodata, ms)
        self._resampler.interpolate(ms, window, lms, buffers["scratch"])
        self._backend.fuse(pan, lms, affines, hrms, buffers["arena"])
        rows = slice(shape.core_row, shape.core_row + shape.core_height)
        cols = slice(shape.core_col, shape.core_col + shape.core_width)
        quantise(hrms[:, rows, cols], tile.dn_scale, tile.product)
