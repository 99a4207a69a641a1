"""The PAN as an MS channel would see it: through a Gaussian MTF, one sample where each MS pixel lies.

Sums run over the taps in one fixed order with one float32 rounding per operation, and what lies beyond the
scene is made up the same way for every window, so that a sample has the same bits whatever the window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.memory import Arrays
from bnnpan_runtime.resample import Resampler, weighted_sum
from bnnpan_runtime.scene_units import MS_GAIN, SceneUnits
from bnnpan_runtime.units import Pixels, normalise

__all__ = ["Shrinker"]

Float32 = NDArray[np.float32]

_DEVIATIONS = 5
"""Where the Gaussian ends; less than a millionth of its weight lies beyond."""

_STRIP_ROWS = 32
"""Rows of samples made at a time: few, so that little of the PAN is float at once; enough to occupy numpy."""


@dataclass(frozen=True)
class _Axis:
    """One axis of a scene: MS sample k sums PAN pixels from `ratio * k + first` on.

    Samples `lowest .. highest` lie on PAN pixels of the scene.
    """

    ratio: int
    first: int
    weights: tuple[np.float32, ...]
    lowest: int
    highest: int

    @classmethod
    def of(cls, ratio: int, origin: float, length: int) -> _Axis:
        """For MS samples on PAN positions `ratio * k + origin` and PAN pixels `0 .. length - 1`."""
        # exp(-2 (pi sigma f)**2) = gain at f = 1 / (2 ratio)
        sigma = ratio * math.sqrt(-2 * math.log(MS_GAIN)) / math.pi
        first = math.ceil(origin - _DEVIATIONS * sigma)
        last = math.floor(origin + _DEVIATIONS * sigma)
        taps = [math.exp(-(((pixel - origin) / sigma) ** 2) / 2) for pixel in range(first, last + 1)]
        # Rounded, so that they do not depend on a machine's exponential function.
        weights = np.array([round(tap / sum(taps), 7) for tap in taps], np.float32)
        # The largest tap takes the rounding, so that a flat image stays flat.
        weights[np.argmax(weights)] += np.float32(1.0 - weights.sum(dtype=np.float64))
        lowest = math.ceil((-0.5 - origin) / ratio)
        highest = math.ceil((length - 0.5 - origin) / ratio) - 1
        return cls(ratio, first, tuple(weights), lowest, highest)

    def inside(self, first: int, count: int) -> slice:
        """Which of `count` samples from `first` lie on the scene."""
        return slice(max(self.lowest - first, 0), min(self.highest + 1 - first, count))

    def pixels(self, samples: int) -> int:
        """PAN pixels that as many neighbouring samples are sums of."""
        return (samples - 1) * self.ratio + len(self.weights)

    def reach(self, first: int, last: int) -> int:
        """PAN pixels on either side of a pixel that count for it, if it draws on MS samples `first .. last`.

        Samples are counted from the one whose stretch of `ratio` pixels the pixel lies in.
        """
        below = self.ratio - 1 - (self.ratio * first + self.first)
        above = self.ratio * last + self.first + len(self.weights) - 1
        return max(below, above)

    def sum(self, image: Float32, start: int, samples: int, total: Float32, product: Float32) -> None:
        """As many samples along the first axis of `image`; the first one's taps begin at place `start`."""
        step = self.ratio
        stretch = (samples - 1) * step + 1
        views = [image[start + k : start + k + stretch : step] for k in range(len(self.weights))]
        weighted_sum(views, self.weights, total, product)


class Shrinker:
    """Shrinks windows of one scene's PAN onto its MS grid.

    `height, width` are those of the PAN, at least one MS pixel. Beyond the scene its outermost PAN pixels are
    repeated, and the outermost samples that lie on it, as MS is.
    """

    def __init__(self, resampler: Resampler, height: int, width: int) -> None:
        self._resampler = resampler
        self._rows = _Axis.of(resampler.ratio, resampler.row_origin, height)
        self._cols = _Axis.of(resampler.ratio, resampler.col_origin, width)
        one = resampler.ms_window(Window(0, 0, resampler.ratio, resampler.ratio))
        self.margin = max(
            self._rows.reach(one.row, one.row + one.height - 1),
            self._cols.reach(one.col, one.col + one.width - 1),
        )
        """PAN pixels around a window that count for the shrunk PAN interpolated to it."""

    def arrays(self, height: int, width: int) -> Arrays:
        """Shapes and dtypes of the buffers that `shrink` takes for windows of this size, by name."""
        ms_height, ms_width = self._resampler.largest_ms_window(height, width)
        rows, pan_width = min(_STRIP_ROWS, ms_height), width + 2 * self.margin
        return {
            "shrunk": ((ms_height * ms_width,), np.float32),
            "shrink_pan": ((self._rows.pixels(rows) * pan_width,), np.float32),
            "shrink_sums": ((2, rows * pan_width), np.float32),
        }

    def shrink(
        self,
        pan: Pixels,
        window: Window,
        units: SceneUnits,
        nodata: float | None,
        buffers: Mapping[str, NDArray[Any]],
    ) -> Float32:
        """The PAN in `units` at all MS samples of `resampler.ms_window(window)`, kept in `buffers`.

        `pan` holds DN of the window with `margin` around it, in which `nodata` counts as 0.
        """
        area, pan_width = self._resampler.ms_window(window), pan.shape[1]
        rows = self._rows.inside(area.row, area.height)
        cols = self._cols.inside(area.col, area.width)
        shrunk: Float32 = buffers["shrunk"][: area.height * area.width].reshape(area.height, area.width)
        left = self._first_pixel(self._cols, area.col + cols.start, window.col)
        for row in range(rows.start, rows.stop, _STRIP_ROWS):
            count = min(_STRIP_ROWS, rows.stop - row)
            top = self._first_pixel(self._rows, area.row + row, window.row)
            height = self._rows.pixels(count)
            strip = buffers["shrink_pan"][: height * pan_width].reshape(1, height, pan_width)
            dn = pan[None, top : top + height]
            normalise(dn, (units.pan_offset,), (units.pan_scale,), nodata, strip)
            tall, work = (sums[: count * pan_width].reshape(count, -1) for sums in buffers["shrink_sums"])
            self._rows.sum(strip[0], 0, count, tall, work)
            inner = shrunk[row : row + count, cols]
            # The rows' scratch is free again; columns come first here, as the sum runs along the first axis.
            work = work.reshape(-1)[: inner.size].reshape(inner.shape)
            self._cols.sum(tall.T, left, inner.shape[1], inner.T, work.T)
        shrunk[:, : cols.start] = shrunk[:, cols.start : cols.start + 1]
        shrunk[:, cols.stop :] = shrunk[:, cols.stop - 1 : cols.stop]
        shrunk[: rows.start] = shrunk[rows.start]
        shrunk[rows.stop :] = shrunk[rows.stop - 1]
        return shrunk

    def _first_pixel(self, axis: _Axis, sample: int, window_start: int) -> int:
        """Place of the first PAN pixel of a sample in a PAN that begins a margin before the window."""
        return axis.ratio * sample + axis.first - window_start + self.margin
