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
from bnnpan_runtime.classical.shrink import Shrinker
from bnnpan_runtime.contract import Calibration, Phase, Window
from bnnpan_runtime.graph.protocol import AxisTaps, BackendMemory, DnTile, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.tiles import even
from bnnpan_runtime.units import normalise, quantise

__all__ = ["ClassicalEngine", "Strip"]

Float32 = NDArray[np.float32]

_STRIP_ROWS = 64
"""Rows interpolated at a time: float images of a whole tile would take most of the memory."""

_DN_BYTES = 2
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
    """A tile in float32: what its arena is divided into.

    `pan` is the window with the shrinker's margin; `planes` holds the MS under the core and, as the last
    plane, the PAN at MS resolution.
    """

    pan: Float32
    planes: Float32
    strip: Float32
    scratch: Float32


class ClassicalEngine:
    """Computes tiles of scenes of one geometry; of a tile, only the core is interpolated.

    Its affines are gains `(bands,)`. `units` shift PAN and MS by means, so that NoData is an average pixel,
    and neither scale nor mix.
    """

    name = CLASSICAL
    fixed_window: int | None = None

    def __init__(self, grid: Grid, bands: int, phase: Phase, calibration: Calibration) -> None:
        self.phase, self.calibration = phase, calibration
        self.resampler = Resampler(grid, phase)
        self._bands = bands
        self._shrinker = Shrinker(self.resampler)
        self.isa = f"numpy {np.__version__}"
        self.halo = even(self._shrinker.reach)
        """Even; PAN pixels around a core that count for it."""

    def memory(self, height: int, width: int) -> BackendMemory:
        """All of it is the arena."""
        return BackendMemory(arena_bytes=4 * sum(self._floats(height, width).values()), library_bytes=0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """One patch at a time, with its surroundings."""
        side = patch + 2 * self.halo
        pixels = side**2 + self._bands * math.prod(self.resampler.largest_ms_window(side, side))
        sums = _SUMS_BYTES * (self._bands + 2) * patch**2
        return self.memory(side, side).arena_bytes + _DN_BYTES * pixels + sums

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
        """The arena with a tile in it."""
        shape, units, margin = tile.shape, tile.units, self._shrinker.margin
        window = Window(shape.row_phase, shape.col_phase, shape.height, shape.width)
        around, area = self.resampler.ms_window(window), self.resampler.ms_window(_core(shape))
        work = self._divided(arena, shape, area)
        inner = work.pan[margin:-margin, margin:-margin]
        normalise(tile.pan[None], (units.pan_offset,), (units.pan_scale,), tile.pan_nodata, inner[None])
        _repeat_edges(work.pan, margin)
        top, left = area.row - around.row, area.col - around.col
        ms = tile.ms[:, top : top + area.height, left : left + area.width]
        normalise(ms, units.ms_offset, units.ms_scale, tile.ms_nodata, work.planes[:-1])
        self._shrinker.shrink(work.pan, window, area, work.planes[-1], work.scratch)
        return work

    def _strips(self, tile: DnTile, work: _Work, planes: int) -> Iterator[Strip]:
        """The first planes, interpolated."""
        shape, core = tile.shape, _core(tile.shape)
        first_row = self.resampler.ms_window(core).row
        pan_row, pan_col = (start + self._shrinker.margin for start in (shape.core_row, shape.core_col))
        for top in range(0, core.height, _STRIP_ROWS):
            height = min(_STRIP_ROWS, core.height - top)
            window = Window(core.row + top, core.col, height, core.width)
            area = self.resampler.ms_window(window)
            ms = work.planes[:planes, area.row - first_row :][:, : area.height]
            image = work.strip[: planes * height * core.width].reshape(planes, height, core.width)
            self.resampler.interpolate(ms, window, image, work.scratch)
            pan = work.pan[pan_row + top :, pan_col:][:height, : core.width]
            yield Strip(slice(top, top + height), pan, image)

    def _divided(self, arena: NDArray[np.uint8], shape: TileShape, area: Window) -> _Work:
        """The parts of an arena, their content undefined."""
        floats = self._floats(shape.height, shape.width)
        ends = np.cumsum(list(floats.values()))
        pan, planes, strip, scratch = np.split(arena[: 4 * ends[-1]].view(np.float32), ends[:-1])
        of_window = (shape.height + 2 * self._shrinker.margin, shape.width + 2 * self._shrinker.margin)
        of_area = (self._bands + 1, area.height, area.width)
        return _Work(pan.reshape(of_window), planes[: math.prod(of_area)].reshape(of_area), strip, scratch)

    def _floats(self, height: int, width: int) -> dict[str, int]:
        """Sizes of the parts of an arena for windows of this size."""
        planes, margin, rows = self._bands + 1, self._shrinker.margin, min(_STRIP_ROWS, height)
        return {
            "pan": (height + 2 * margin) * (width + 2 * margin),
            "planes": planes * math.prod(self.resampler.largest_ms_window(height, width)),
            "strip": planes * rows * width,
            "scratch": max(
                self._shrinker.scratch_floats(height, width),
                self.resampler.most_scratch_floats(planes, rows, width),
                rows * width,  # what the PAN adds to a band of a strip
            ),
        }


def _core(shape: TileShape) -> Window:
    """The core of a tile, counted from the first PAN pixel of the MS pixel that its window begins in."""
    row, col = shape.row_phase + shape.core_row, shape.col_phase + shape.core_col
    return Window(row, col, shape.core_height, shape.core_width)


def _repeat_edges(image: Float32, margin: int) -> None:
    """Fill the margin of an image with its outermost pixels."""
    image[:margin] = image[margin]
    image[-margin:] = image[-margin - 1]
    image[:, :margin] = image[:, margin : margin + 1]
    image[:, -margin:] = image[:, -margin - 1 : -margin]
