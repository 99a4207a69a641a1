"""The work on one tile, and the buffers it takes; counted before they are allocated.

Memory is held in two kinds of places, because reading and writing go on while tiles are computed:
a slot per tile under way (DN as read, DN as written) and a bench per thread (what the engine needs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Tile, Window
from bnnpan_runtime.graph.protocol import Backend, DnTile, Float32, TileBackend, TileShape
from bnnpan_runtime.memory import Arrays, allocate, allocated_bytes
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.shrink import Shrinker
from bnnpan_runtime.tile_engine import engine_arrays, tile_engine
from bnnpan_runtime.tiles import window_shape
from bnnpan_runtime.units import Pixels, mark_nodata, missing

__all__ = [
    "Bench",
    "Layout",
    "ShrinkBench",
    "Slot",
    "slot_count",
    "tile_layout",
    "unmeasured",
    "worker_count",
]


@dataclass(frozen=True)
class Layout:
    """Shapes and dtypes of the buffers of one slot and of one bench: its engine's, and those for NoData.

    With a shrinker, slots hold its margin around their PAN, and a bench its buffers.
    """

    slot: Arrays
    engine: Arrays
    nodata: Arrays
    shrinker: Shrinker | None
    shrink: Arrays

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot."""
        return allocated_bytes(self.slot)

    @property
    def bench_bytes(self) -> int:
        """Memory of one bench."""
        return sum(map(allocated_bytes, (self.engine, self.nodata, self.shrink)))


def worker_count(threads: int, tiles: int) -> int:
    """Threads that have something to compute."""
    return min(threads, tiles)


def slot_count(threads: int, tiles: int) -> int:
    """One slot per thread, and one to read into and write from meanwhile."""
    return min(threads + 1, tiles)


def tile_layout(
    scene: Scene,
    resampler: Resampler,
    backend: Backend | TileBackend,
    tile: int,
    halo: int,
    shrinks_pan: bool = False,
) -> Layout:
    """Buffers for tiles of this size."""
    height, width = window_shape(scene.height, scene.width, tile, halo)
    shrinker = Shrinker(resampler, *scene.padded) if shrinks_pan else None
    margin = shrinker.margin if shrinker else 0
    core = (scene.bands, min(tile, scene.height), min(tile, scene.width))
    slot: Arrays = {
        "pan": ((height + 2 * margin, width + 2 * margin), scene.dtype),
        "ms": ((scene.bands * math.prod(resampler.largest_ms_window(height, width)),), scene.dtype),
        "product": ((math.prod(core),), scene.dtype),
    }
    nodata: Arrays = {}
    if scene.nodata is not None:
        nodata["missing"] = ((math.prod(core),), np.bool_)
        # Two comparisons are alive at a time, as temporaries of the size of a window.
        nodata["comparisons"] = ((2 * height * width,), np.bool_)
    engine = engine_arrays(backend, resampler, scene.bands, height, width)
    return Layout(slot, engine, nodata, shrinker, shrinker.arrays(height, width) if shrinker else {})


class Slot:
    """One tile under way: its inputs in DN, later its product in DN."""

    def __init__(self, layout: Layout) -> None:
        buffers = {name: allocate(*array) for name, array in layout.slot.items()}
        margin = layout.shrinker.margin if layout.shrinker else 0
        height, width = buffers["pan"].shape
        self.pan_around: Pixels = buffers["pan"]
        self.pan: Pixels = self.pan_around[margin : height - margin, margin : width - margin]
        self._margin = margin
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
        scene.read_pan(tile.window.grown(self._margin), self.pan_around)
        scene.read_ms(self.ms_window, self.ms)

    def dn_tile(
        self, scene: Scene, resampler: Resampler, units: SceneUnits, shrunk: Float32 | None
    ) -> DnTile:
        """What an engine takes."""
        return DnTile(
            shape=TileShape.of(self.tile.window, self.tile.core, scene.grid.ratio),
            rows=resampler.row_taps,
            cols=resampler.col_taps,
            pan=self.pan,
            ms=self.ms,
            product=self.product,
            units=units,
            pan_nodata=scene.pan_nodata,
            ms_nodata=scene.ms_nodata,
            shrunk=shrunk,
        )


def unmeasured(slot: Slot, scene: Scene, out: NDArray[np.bool_]) -> None:
    """Where the core of a filled slot has no measurement, into `out` `(bands, height, width)`."""
    core, window = slot.tile.core, slot.tile.window
    rows = slice(core.row - window.row, core.row - window.row + core.height)
    cols = slice(core.col - window.col, core.col - window.col + core.width)
    markers = (scene.pan_nodata, scene.ms_nodata)
    missing(slot.pan[rows, cols], slot.ms, core, slot.ms_window, scene.grid, markers, out)


class ShrinkBench:
    """Where one thread shrinks PAN, if the layout has a shrinker."""

    def __init__(self, layout: Layout) -> None:
        self._shrinker = layout.shrinker
        self._buffers = {name: allocate(*array) for name, array in layout.shrink.items()}

    def shrunk(self, slot: Slot, units: SceneUnits, nodata: float | None) -> Float32 | None:
        """The PAN at the samples of a slot's MS, valid until the next; None without a shrinker."""
        if self._shrinker is None:
            return None
        return self._shrinker.shrink(slot.pan_around, slot.tile.window, units, nodata, self._buffers)


class Bench:
    """Where one thread computes tiles."""

    def __init__(
        self, layout: Layout, scene: Scene, resampler: Resampler, backend: Backend | TileBackend
    ) -> None:
        self._scene, self._resampler = scene, resampler
        self._engine = tile_engine(backend, resampler, layout.engine)
        self._missing: NDArray[np.bool_] | None = None
        if "missing" in layout.nodata:
            self._missing = allocate(*layout.nodata["missing"])
        self._shrink = ShrinkBench(layout)

    def fuse(self, slot: Slot, constants: SceneConstants) -> Slot:
        """Compute the product of a filled slot; a tile without any measurement is only marked as such."""
        scene, absent = self._scene, self._absent(slot)
        slot.skipped = absent is not None and bool(absent.all())
        if slot.skipped:
            slot.product[...] = scene.nodata
            return slot
        shrunk = self._shrink.shrunk(slot, constants.units, scene.pan_nodata)
        tile = slot.dn_tile(scene, self._resampler, constants.units, shrunk)
        self._engine.fuse(tile, slot.tile.window, constants.affines)
        if absent is not None and scene.nodata is not None:
            mark_nodata(slot.product, absent, scene.nodata)
        return slot

    def _absent(self, slot: Slot) -> NDArray[np.bool_] | None:
        """Where the core has no measurement; None if the scene has no marker for that."""
        if self._missing is None:
            return None
        absent: NDArray[np.bool_] = _view(self._missing, *slot.product.shape)
        unmeasured(slot, self._scene, absent)
        return absent


def _view(buffer: NDArray[Any], *shape: int) -> NDArray[Any]:
    return buffer[: math.prod(shape)].reshape(shape)
