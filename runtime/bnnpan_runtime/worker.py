"""The work on one tile, and the buffers it takes; counted before they are allocated.

Memory is held in two kinds of places, because reading and writing go on while tiles are computed:
a slot per tile under way (DN as read, DN as written) and a bench per thread (everything in float32).
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Tile, Window
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.tiles import window_shape
from bnnpan_runtime.units import Pixels, mark_nodata, missing, normalise, quantise

__all__ = ["Bench", "Layout", "Slot", "slot_count", "tile_layout", "worker_count"]

_Array = tuple[tuple[int, ...], Any]


@dataclass(frozen=True)
class Layout:
    """Shapes and dtypes of the buffers of one slot and of one bench."""

    slot: dict[str, _Array]
    bench: dict[str, _Array]

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot."""
        return sum(_mapped_bytes(array) for array in self.slot.values())

    @property
    def bench_bytes(self) -> int:
        """Memory of one bench, without the engine's arena."""
        return sum(_mapped_bytes(array) for array in self.bench.values())


def worker_count(threads: int, tiles: int) -> int:
    """Threads that have something to compute."""
    return min(threads, tiles)


def slot_count(threads: int, tiles: int) -> int:
    """One slot per thread, and one to read into and write from meanwhile."""
    return min(threads + 1, tiles)


def tile_layout(scene: Scene, resampler: Resampler, tile: int, halo: int) -> Layout:
    """Buffers for tiles of this size."""
    height, width = window_shape(scene.height, scene.width, tile, halo)
    core = (scene.bands, min(tile, scene.height), min(tile, scene.width))
    ms_size = scene.bands * math.prod(resampler.largest_ms_window(height, width))
    slot: dict[str, _Array] = {
        "pan": ((height, width), scene.dtype),
        "ms": ((ms_size,), scene.dtype),
        "product": ((math.prod(core),), scene.dtype),
    }
    bench: dict[str, _Array] = {
        "pan": ((1, height, width), np.float32),
        "ms": ((ms_size,), np.float32),
        "lms": ((scene.bands, height, width), np.float32),
        "hrms": ((scene.bands, height, width), np.float32),
        "scratch": ((resampler.scratch_floats(scene.bands, height, width),), np.float32),
    }
    if scene.nodata is not None:
        bench["missing"] = ((math.prod(core),), np.bool_)
        # Two comparisons are alive at a time, as temporaries of the size of a window.
        bench["comparisons"] = ((2 * height * width,), np.bool_)
    return Layout(slot, bench)


class Slot:
    """One tile under way: its inputs in DN, later its product in DN."""

    def __init__(self, layout: Layout) -> None:
        buffers = {name: allocate(*array) for name, array in layout.slot.items()}
        self.pan: Pixels = buffers["pan"]
        self._ms_buffer: Pixels = buffers["ms"]
        self._product_buffer: Pixels = buffers["product"]
        self.tile = Tile(0, Window(0, 0, 0, 0), Window(0, 0, 0, 0))
        self.ms_window = self.tile.window
        self.ms = self._ms_buffer
        self.product = self._product_buffer
        self.skipped = False

    def read(self, scene: Scene, resampler: Resampler, tile: Tile) -> None:
        """Fill with the inputs of a tile. Raises SceneError."""
        self.tile, self.ms_window = tile, resampler.ms_window(tile.window)
        self.ms = _view(self._ms_buffer, scene.bands, self.ms_window.height, self.ms_window.width)
        self.product = _view(self._product_buffer, scene.bands, tile.core.height, tile.core.width)
        scene.read_pan(tile.window, self.pan)
        scene.read_ms(self.ms_window, self.ms)


class Bench:
    """Where one thread computes tiles."""

    def __init__(self, layout: Layout, arena_bytes: int) -> None:
        buffers = {name: allocate(*array) for name, array in layout.bench.items() if name != "comparisons"}
        self._pan: Float32 = buffers["pan"]
        self._ms: Float32 = buffers["ms"]
        self._lms: Float32 = buffers["lms"]
        self._hrms: Float32 = buffers["hrms"]
        self._scratch: Float32 = buffers["scratch"]
        self._missing: NDArray[np.bool_] | None = buffers.get("missing")
        self._arena: NDArray[np.uint8] = allocate((arena_bytes,), np.uint8)

    def fuse(
        self, slot: Slot, scene: Scene, resampler: Resampler, backend: Backend, affines: Float32
    ) -> Slot:
        """Compute the product of a filled slot; a tile without any measurement is only marked as such."""
        core, window = slot.tile.core, slot.tile.window
        inner = (
            slice(core.row - window.row, core.row - window.row + core.height),
            slice(core.col - window.col, core.col - window.col + core.width),
        )
        absent = None
        if self._missing is not None:
            absent = _view(self._missing, *slot.product.shape)
            markers = (scene.pan_nodata, scene.ms_nodata)
            missing(slot.pan[inner], slot.ms, core, slot.ms_window, scene.grid, markers, absent)
        slot.skipped = absent is not None and bool(absent.all())
        if slot.skipped:
            slot.product[...] = scene.nodata
            return slot
        ms = _view(self._ms, *slot.ms.shape)
        normalise(slot.pan, scene.dn_scale, scene.pan_nodata, self._pan[0])
        normalise(slot.ms, scene.dn_scale, scene.ms_nodata, ms)
        resampler.interpolate(ms, window, self._lms, self._scratch)
        backend.fuse(self._pan, self._lms, affines, self._hrms, self._arena)
        quantise(self._hrms[:, *inner], scene.dn_scale, slot.product)
        if absent is not None and scene.nodata is not None:
            mark_nodata(slot.product, absent, scene.nodata)
        return slot


def _view(buffer: NDArray[Any], *shape: int) -> NDArray[Any]:
    return buffer[: math.prod(shape)].reshape(shape)


def _mapped_bytes(array: _Array) -> int:
    shape, dtype = array
    return -(-math.prod(shape) * np.dtype(dtype).itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
