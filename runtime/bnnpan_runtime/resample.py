"""LMS: the MS image interpolated to the PAN grid, window by window, with the same bits whatever the window.

The 23-tap interpolator of Aiazzi et al. (2002) is half-band: doubling an image again and again never changes
the samples it already has and converges to a continuous cardinal function `phi` (1 at 0, 0 at every other
integer, support +-11 MS pixels). Any ratio and offset is then one step, `sum_k ms[k] * phi(t - k)`, and
equals the toolbox's cascade of doublings wherever `t` is dyadic.

PAN positions repeat their place between MS samples every `ratio` pixels, so there are `ratio` sets of taps
per axis (polyphase). Sums run over the taps in one fixed order, one float32 rounding per multiplication and
addition: no BLAS, no fused operation, and so no dependence on where a window begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Phase, Window
from bnnpan_runtime.graph.protocol import AxisTaps
from bnnpan_runtime.grid import Grid

__all__ = ["REACH", "Resampler", "phi", "weighted_sum"]

Float32 = NDArray[np.float32]

REACH = 11
"""MS pixels on either side that can contribute to an interpolated value."""

_HALF_KERNEL = 2 * np.array(
    [
        *(0.5, 0.305334091185, 0, -0.072698593239, 0, 0.021809577942),
        *(0, -0.005192756653, 0, 0.000807762146, 0, -0.000060081482),
    ]
)
_DOUBLINGS = 10

_SMALLEST_TAP = 2**-26
"""Taps below move a result by less than its last float32 bit."""

_STRIP_BYTES = 256 * 1024
"""Size of the intermediate image of a strip of rows: fits the second-level cache of a small ARM core."""


@lru_cache(maxsize=1)
def _table() -> NDArray[np.float64]:
    """`phi` at every multiple of 2**-10 in [-REACH, REACH]."""
    kernel = np.concatenate([_HALF_KERNEL[:0:-1], _HALF_KERNEL])
    values = np.zeros(2 * REACH + 1)
    values[REACH] = 1.0
    for _ in range(_DOUBLINGS):
        spread = np.zeros(2 * len(values) - 1)
        spread[::2] = values
        values = np.convolve(spread, kernel, mode="same")
    values.setflags(write=False)
    return values


def phi(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cardinal function: exact where `t * 2**10` is whole, else linear in between (error below 2e-6)."""
    table = _table()
    return np.interp(t, np.linspace(-REACH, REACH, len(table)), table, left=0.0, right=0.0)


@dataclass(frozen=True)
class _Taps:
    """Weights of MS samples `first, first + 1, ...`, counted from the MS sample `position // ratio`."""

    first: int
    weights: tuple[np.float32, ...]


class _Axis:
    """One axis of a scene: the taps of its `ratio` phases, and which MS samples a stretch of PAN needs."""

    def __init__(self, ratio: int, offset: float, phase: Phase) -> None:
        # PAN pixels from the edge of an MS pixel to its sample.
        sample = ratio // 2 if phase == "toolbox" else (ratio - 1) / 2
        self.ratio = ratio
        self.origin = sample - offset
        self.phases = tuple(_taps((remainder + offset - sample) / ratio) for remainder in range(ratio))
        self.before = min(taps.first for taps in self.phases)
        self.after = max(taps.first + len(taps.weights) - 1 for taps in self.phases)

    @property
    def taps(self) -> AxisTaps:
        """All phases with the taps of the widest; sample 0 is `before` of the position's own."""
        weights = np.zeros((self.ratio, self.after - self.before + 1), np.float32)
        for phase, taps in enumerate(self.phases):
            first = taps.first - self.before
            weights[phase, first : first + len(taps.weights)] = taps.weights
        return AxisTaps(weights)

    def samples(self, start: int, count: int) -> tuple[int, int]:
        """First MS sample and number of them for PAN positions `start .. start + count - 1`."""
        first = start // self.ratio + self.before
        return first, (start + count - 1) // self.ratio + self.after + 1 - first

    def samples_on(self, start: int, count: int) -> tuple[int, int]:
        """First and number of the MS samples that lie on PAN pixels `start .. start + count - 1`."""
        first, end = (math.ceil((edge - 0.5 - self.origin) / self.ratio) for edge in (start, start + count))
        return first, end - first

    def nearest(self, first: int, count: int) -> NDArray[np.int64]:
        """The PAN pixels that MS samples from `first` on lie on."""
        positions = self.ratio * np.arange(first, first + count) + self.origin
        return np.asarray(np.floor(positions + 0.5), np.int64)

    def most_samples(self, count: int) -> int:
        """The largest number of MS samples any stretch of `count` PAN positions needs."""
        return (
            (count - 2) // self.ratio + 2 + self.after - self.before
            if count > 1
            else 1 + self.after - self.before
        )

    def runs(self, start: int, count: int, first: int) -> list[tuple[int, int, int, _Taps]]:
        """Per phase: first place in the stretch, number of places, index of the first tap's sample, taps."""
        runs = []
        for remainder, taps in enumerate(self.phases):
            place = (remainder - start) % self.ratio
            length = -(-(count - place) // self.ratio)
            if length > 0:
                runs.append((place, length, (start + place) // self.ratio + taps.first - first, taps))
        return runs


class Resampler:
    """Interpolates windows of one scene's MS onto its PAN grid.

    `row_origin` and `col_origin` are the PAN position of MS sample (0, 0), in PAN pixels from the centre of
    PAN pixel (0, 0).
    """

    def __init__(self, grid: Grid, phase: Phase) -> None:
        self._rows = _Axis(grid.ratio, grid.row_offset, phase)
        self._cols = _Axis(grid.ratio, grid.col_offset, phase)
        self.ratio = grid.ratio
        self.row_origin = self._rows.origin
        self.col_origin = self._cols.origin
        self.row_taps = self._rows.taps
        self.col_taps = self._cols.taps

    def samples_on(self, window: Window) -> Window:
        """The MS samples that lie on the pixels of a PAN window."""
        row, height = self._rows.samples_on(window.row, window.height)
        col, width = self._cols.samples_on(window.col, window.width)
        return Window(row, col, height, width)

    def nearest(self, samples: Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the PAN pixels that MS samples lie on."""
        return (
            self._rows.nearest(samples.row, samples.height),
            self._cols.nearest(samples.col, samples.width),
        )

    def ms_window(self, window: Window) -> Window:
        """MS pixels needed for a PAN window; may reach beyond the MS raster, whose edge is repeated there."""
        row, height = self._rows.samples(window.row, window.height)
        col, width = self._cols.samples(window.col, window.width)
        return Window(row, col, height, width)

    def largest_ms_window(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the largest `ms_window` of PAN windows of this size."""
        return self._rows.most_samples(height), self._cols.most_samples(width)

    def scratch_floats(self, bands: int, height: int, width: int) -> int:
        """Float32 values of scratch that `interpolate` needs for windows of this size."""
        ms_width = self.largest_ms_window(height, width)[1]
        strip = self._strip_rows(bands, height, ms_width)
        rows = bands * -(-strip // self.ratio) * ms_width
        cols = bands * strip * -(-width // self.ratio)
        return bands * strip * ms_width + 2 * max(rows, cols)

    def most_scratch_floats(self, bands: int, height: int, width: int) -> int:
        """Float32 values of scratch that suffice for all windows up to this size, and for fewer bands."""
        row_floats = bands * self.largest_ms_window(height, width)[1]
        # A strip, which holds at most this, and the two images it is summed from, which are smaller.
        return 3 * min(max(_STRIP_BYTES // 4, row_floats * self.ratio), row_floats * height)

    def interpolate(self, ms: Float32, window: Window, out: Float32, scratch: Float32) -> None:
        """LMS of a PAN window into `out` `(bands, height, width)`.

        `ms` `(bands, ...)` holds exactly `ms_window(window)`, in any unit; `scratch` is flat, at least
        `scratch_floats` long for any window of this size. All C-contiguous.
        """
        bands, _, ms_width = ms.shape
        ms_area = self.ms_window(window)
        # From the largest MS window, as in `scratch_floats`: a narrower one would make a taller strip.
        strip_rows = self._strip_rows(bands, window.height, self._cols.most_samples(window.width))
        tall, work = scratch[: bands * strip_rows * ms_width], scratch[bands * strip_rows * ms_width :]
        columns = self._cols.runs(window.col, window.width, ms_area.col)
        for top in range(0, window.height, strip_rows):
            count = min(strip_rows, window.height - top)
            # MS columns come first here, so that a shift by one column is a shift of the whole flat image.
            strip = tall[: ms_width * bands * count].reshape(ms_width, bands, count)
            for place, length, sample, taps in self._rows.runs(window.row + top, count, ms_area.row):
                total, product = _pair(work, (bands, length, ms_width))
                weighted_sum(
                    [ms[:, sample + k : sample + k + length] for k in range(len(taps.weights))],
                    taps.weights,
                    total,
                    product,
                )
                strip[:, :, place :: self.ratio] = total.transpose(2, 0, 1)
            for place, length, sample, taps in columns:
                total, product = _pair(work, (length, bands, count))
                weighted_sum(
                    [strip[sample + k : sample + k + length] for k in range(len(taps.weights))],
                    taps.weights,
                    total,
                    product,
                )
                out[:, top : top + count, place :: self.ratio] = total.transpose(1, 2, 0)

    def _strip_rows(self, bands: int, height: int, ms_width: int) -> int:
        """Rows of one strip: a multiple of the ratio, at least one of it."""
        rows = _STRIP_BYTES // (4 * bands * ms_width)
        return min(max(rows // self.ratio, 1) * self.ratio, height)


def _taps(position: float) -> _Taps:
    """Taps for the value `position` MS pixels from a sample."""
    first = math.floor(position) - REACH + 1
    weights = phi(position - np.arange(first, first + 2 * REACH))
    weights[np.abs(weights) < _SMALLEST_TAP] = 0.0
    used = np.flatnonzero(weights)
    rounded = (weights[used[0] : used[-1] + 1] / weights.sum()).astype(np.float32)
    # The largest tap takes the rounding, so that a flat image stays flat.
    rounded[np.argmax(rounded)] += np.float32(1.0 - rounded.sum(dtype=np.float64))
    return _Taps(first + int(used[0]), tuple(rounded))


def _pair(work: Float32, shape: tuple[int, int, int]) -> tuple[Float32, Float32]:
    size = math.prod(shape)
    return work[:size].reshape(shape), work[size : 2 * size].reshape(shape)


def weighted_sum(
    images: Sequence[Float32], weights: Sequence[np.float32], total: Float32, product: Float32
) -> None:
    """`total = sum_k weight_k * image_k` in the order given, with `product` as scratch; all of one shape."""
    np.multiply(images[0], weights[0], out=total)
    for image, weight in zip(images[1:], weights[1:], strict=True):
        if weight:  # half-band kernels have zeros in between
            np.multiply(image, weight, out=product)
            np.add(total, product, out=total)
