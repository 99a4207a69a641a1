"""MTF-GLP-FS from DN to DN, tile by tile, in strips of rows.

With the PAN at MS resolution `p` and interpolation I, a band of the product is

    I(ms) + gain * (PAN - I(p)) = I(ms - gain * p) + gain * PAN

so that each band is interpolated once, after what the PAN explains of it is taken away on the MS grid.

The method is usually given with a PAN matched to each band; an affine match cancels out of a gain that is a
quotient of covariances with that same PAN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.classical import CLASSICAL
from bnnpan_runtime.contract import Calibration, Phase, Window
from bnnpan_runtime.graph.protocol import AxisTaps, BackendMemory, DnTile, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.units import normalise, quantise

__all__ = ["ClassicalEngine", "Strip"]

Float32 = NDArray[np.float32]

_STRIP_ROWS = 64
"""Rows interpolated at a time: float images of a whole tile would take most of the memory."""

_SUMS_BYTES = 64
"""Of a pixel in double precision, while products of two planes are added up."""


@dataclass(frozen=True)
class Strip:
    """Some rows of a core: PAN `(height, width)` and interpolated planes `(planes, height, width)`."""

    rows: slice
    pan: Float32
    planes: Float32


@dataclass(frozen=True)
class _Work:
    """What an arena is divided into; `planes` is the MS under a core and, last, the PAN at its samples."""

    planes: Float32
    strip: Float32
    pan: Float32
    scratch: Float32


class ClassicalEngine:
    """Computes tiles of scenes of one geometry; of a tile, only the core is interpolated.

    Its affines are gains `(bands,)`. `units` shift PAN and MS by means, so that NoData is an average pixel,
    and neither scale nor inject.
    """

    name = CLASSICAL
    fixed_window: int | None = None
    halo = 0
    shrinks_pan = True

    def __init__(self, grid: Grid, bands: int, phase: Phase, calibration: Calibration) -> None:
        self.phase, self.calibration = phase, calibration
        self.resampler = Resampler(grid, phase)
        self._bands = bands
        self.isa = f"numpy {np.__version__}"

    def memory(self, height: int, width: int) -> BackendMemory:
        """All of it is the arena."""
        return BackendMemory(arena_bytes=4 * sum(self._floats(height, width).values()), library_bytes=0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """One patch at a time, beyond its DN."""
        return self.memory(patch, patch).arena_bytes + _SUMS_BYTES * (self._bands + 2) * patch**2

    def tile_arena_bytes(self, shape: TileShape, rows: AxisTaps, cols: AxisTaps) -> int:
        """Scratch for a window of that shape, whatever its core."""
        return self.memory(shape.height, shape.width).arena_bytes

    def fuse_tile(self, tile: DnTile, affines: Float32, arena: NDArray[np.uint8]) -> None:
        """Fill `tile.product`."""
        work = self._filled(tile, arena)
        *bands, shrunk = work.planes
        share = work.scratch[: shrunk.size].reshape(shrunk.shape)
        for band, gain in zip(bands, affines, strict=True):
            np.multiply(shrunk, gain, out=share)
            np.subtract(band, share, out=band)
        for strip in self._strips(tile, work, len(bands)):
            detail = work.scratch[: strip.pan.size].reshape(strip.pan.shape)
            for band, gain in zip(strip.planes, affines, strict=True):
                np.multiply(strip.pan, gain, out=detail)
                np.add(band, detail, out=band)
            quantise(strip.planes, tile.units.ms_offset, tile.units.ms_scale, tile.product[:, strip.rows])

    def observe(self, tile: DnTile, arena: NDArray[np.uint8]) -> Iterator[Strip]:
        """The core in strips, each valid until the next: LMS and, last, the PAN seen as an MS channel.

        All in DN less the offsets of `tile.units`.
        """
        return self._strips(tile, self._filled(tile, arena), self._bands + 1)

    def _filled(self, tile: DnTile, arena: NDArray[np.uint8]) -> _Work:
        """The arena with the planes of a tile in it."""
        assert tile.shrunk is not None
        shape, units = tile.shape, tile.units
        window = Window(shape.row_phase, shape.col_phase, shape.height, shape.width)
        around, area = self.resampler.ms_window(window), self.resampler.ms_window(_core(shape))
        work = self._divided(arena, shape.height, shape.width, area)
        top, left = area.row - around.row, area.col - around.col
        under = np.s_[..., top : top + area.height, left : left + area.width]
        normalise(tile.ms[under], units.ms_offset, units.ms_scale, tile.ms_nodata, work.planes[:-1])
        work.planes[-1] = tile.shrunk[under]
        return work

    def _strips(self, tile: DnTile, work: _Work, planes: int) -> Iterator[Strip]:
        """PAN and the first planes, interpolated."""
        shape, units, core = tile.shape, tile.units, _core(tile.shape)
        first_row = self.resampler.ms_window(core).row
        cols = slice(shape.core_col, shape.core_col + core.width)
        for top in range(0, core.height, _STRIP_ROWS):
            height = min(_STRIP_ROWS, core.height - top)
            window = Window(core.row + top, core.col, height, core.width)
            area = self.resampler.ms_window(window)
            ms = work.planes[:planes, area.row - first_row :][:, : area.height]
            image = work.strip[: planes * height * core.width].reshape(planes, height, core.width)
            self.resampler.interpolate(ms, window, image, work.scratch)
            dn = tile.pan[None, shape.core_row + top :, cols][:, :height]
            pan = work.pan[: height * core.width].reshape(1, height, core.width)
            normalise(dn, (units.pan_offset,), (units.pan_scale,), tile.pan_nodata, pan)
            yield Strip(slice(top, top + height), pan[0], image)

    def _divided(self, arena: NDArray[np.uint8], height: int, width: int, area: Window) -> _Work:
        """The parts of an arena, their content undefined."""
        floats = self._floats(height, width)
        ends = np.cumsum(list(floats.values()))
        planes, *others = np.split(arena[: 4 * ends[-1]].view(np.float32), ends[:-1])
        shape = (self._bands + 1, area.height, area.width)
        return _Work(planes[: math.prod(shape)].reshape(shape), *others)

    def _floats(self, height: int, width: int) -> dict[str, int]:
        """Sizes of the parts of an arena for windows of this size."""
        planes, rows = self._bands + 1, min(_STRIP_ROWS, height)
        area = math.prod(self.resampler.largest_ms_window(height, width))
        return {
            "planes": planes * area,
            "strip": planes * rows * width,
            "pan": rows * width,
            "scratch": max(
                area,  # what the shrunk PAN takes from a band
                self.resampler.most_scratch_floats(planes, rows, width),
                rows * width,  # what the PAN adds to a band of a strip
            ),
        }


def _core(shape: TileShape) -> Window:
    """The core of a tile, counted from the first PAN pixel of the MS pixel that its window begins in."""
    row, col = shape.row_phase + shape.core_row, shape.col_phase + shape.core_col
    return Window(row, col, shape.core_height, shape.core_width)
