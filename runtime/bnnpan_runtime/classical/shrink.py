"""The PAN as an MS channel would see it: through a Gaussian MTF, one sample where each MS pixel lies.

Sums run over the taps in one fixed order with one float32 rounding per operation, so that a sample has the
same bits whatever the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.resample import Resampler, weighted_sum

__all__ = ["MTF_GAIN", "Shrinker"]

Float32 = NDArray[np.float32]

MTF_GAIN = 0.3
"""Of every MS channel at its Nyquist frequency: what DLPan-Toolbox takes for sensors it does not know. Those
it knows have 0.22 to 0.37."""

_DEVIATIONS = 5
"""Where the Gaussian ends; less than a millionth of its weight lies beyond."""


@dataclass(frozen=True)
class _Axis:
    """Taps of one axis: MS sample k sums PAN pixels from `ratio * k + first` on."""

    ratio: int
    origin: float
    first: int
    weights: tuple[np.float32, ...]

    @classmethod
    def of(cls, ratio: int, origin: float) -> _Axis:
        """For MS samples on PAN positions `ratio * k + origin`."""
        # exp(-2 (pi sigma f)**2) = gain at f = 1 / (2 ratio)
        sigma = ratio * math.sqrt(-2 * math.log(MTF_GAIN)) / math.pi
        first = math.ceil(origin - _DEVIATIONS * sigma)
        last = math.floor(origin + _DEVIATIONS * sigma)
        taps = [math.exp(-(((pixel - origin) / sigma) ** 2) / 2) for pixel in range(first, last + 1)]
        # Rounded, so that they do not depend on a machine's exponential function.
        weights = np.array([round(tap / sum(taps), 7) for tap in taps], np.float32)
        # The largest tap takes the rounding, so that a flat image stays flat.
        weights[np.argmax(weights)] += np.float32(1.0 - weights.sum(dtype=np.float64))
        return cls(ratio, origin, first, tuple(weights))

    @property
    def margin(self) -> int:
        """PAN pixels that a sample within a window may need beyond either side of it."""
        below = math.ceil(self.origin - self.first)
        return max(below, math.ceil(self.first + len(self.weights) - 1 - self.origin)) + 1

    def within(self, start: int, count: int, first: int, samples: int) -> tuple[int, int]:
        """Of `samples` MS samples from `first`, those on PAN positions `start .. start + count - 1`.

        As first place and end in the stretch of samples; at least one, the nearest.
        """
        low = math.ceil((start - 0.5 - self.origin) / self.ratio) - first
        high = math.floor((start + count - 0.5 - self.origin) / self.ratio) - first
        begin = min(max(low, 0), samples - 1)
        return begin, max(min(high, samples - 1), begin) + 1

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
    """Shrinks windows of one scene's PAN onto its MS grid."""

    def __init__(self, resampler: Resampler) -> None:
        self._resampler = resampler
        self._rows = _Axis.of(resampler.ratio, resampler.row_origin)
        self._cols = _Axis.of(resampler.ratio, resampler.col_origin)
        self.margin = max(self._rows.margin, self._cols.margin)
        """PAN pixels around a window that `shrink` takes; the window's outermost ones repeated."""

    @property
    def reach(self) -> int:
        """PAN pixels on either side that count for a PAN pixel of the shrunk PAN interpolated again."""
        one = self._resampler.ms_window(Window(0, 0, self._resampler.ratio, self._resampler.ratio))
        rows = self._rows.reach(one.row, one.row + one.height - 1)
        return max(rows, self._cols.reach(one.col, one.col + one.width - 1))

    def scratch_floats(self, height: int, width: int) -> int:
        """Float32 values of scratch that `shrink` needs for windows of this size."""
        rows = self._resampler.largest_ms_window(height, width)[0]
        return 2 * rows * (width + 2 * self.margin)

    def shrink(self, pan: Float32, window: Window, area: Window, out: Float32, scratch: Float32) -> None:
        """The MS samples of `area` into `out` `(height, width)`, from PAN with a margin around `window`.

        Samples outside the window repeat the outermost ones within: where the window ends with the scene, as
        the MS is repeated there; elsewhere a window larger than its core by `reach` does not need them.
        """
        top, bottom = self._rows.within(window.row, window.height, area.row, area.height)
        left, right = self._cols.within(window.col, window.width, area.col, area.width)
        rows, cols, pan_width = bottom - top, right - left, pan.shape[1]
        tall, work = (part[: rows * pan_width].reshape(rows, pan_width) for part in _halves(scratch))
        self._rows.sum(pan, self._place(self._rows, area.row + top, window.row), rows, tall, work)
        inner = out[top:bottom, left:right]
        # The rows' scratch is free again; columns come first here, as the sum runs along the first axis.
        work = scratch[scratch.size // 2 :][: rows * cols].reshape(rows, cols).T
        start = self._place(self._cols, area.col + left, window.col)
        self._cols.sum(tall.T, start, cols, inner.T, work)
        out[top:bottom, :left] = out[top:bottom, left : left + 1]
        out[top:bottom, right:] = out[top:bottom, right - 1 : right]
        out[:top] = out[top : top + 1]
        out[bottom:] = out[bottom - 1 : bottom]

    def _place(self, axis: _Axis, sample: int, window_start: int) -> int:
        """Index of the first PAN pixel of an MS sample in a PAN that begins a margin before the window."""
        return axis.ratio * sample + axis.first - window_start + self.margin


def _halves(scratch: Float32) -> tuple[Float32, Float32]:
    return scratch[: scratch.size // 2], scratch[scratch.size // 2 :]
