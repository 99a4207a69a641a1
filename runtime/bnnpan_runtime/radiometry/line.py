"""A line of detectors, one per image column: from raw DN to DN that are alike along the line.

    DN = (raw - dark) * gain

in the type of the raster, as a camera with perfect detectors would have delivered it: all that follows works
on DN. A pixel depends on its own raw value, in a dead column on those of the nearest live columns, so that
it is the same in every window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.radiometry.levels import Float32, Levels, Plane

__all__ = ["Line", "ReadRaw"]

ReadRaw = Callable[[Window, Plane], None]
"""Fills `(height, width)` with raw DN of one band; beyond the raster its outermost pixels."""

STRIP_PIXELS = 2**14
"""Corrected at a time, so that float images of a whole window need not be held."""


@dataclass(frozen=True)
class Line:
    """The detectors of one band.

    dark, gain  per column; gains are above 0
    dead        columns, in rising order, that are replaced; at least one column is none of them
    saturation  raw DN from which on a pixel is saturated; None if that is not known
    """

    dark: Float32
    gain: Float32
    dead: NDArray[np.intp]
    saturation: float | None = None

    @property
    def columns(self) -> int:
        """Detectors."""
        return len(self.dark)

    def levels(self, dtype: np.dtype[Any], nodata: float | None) -> Levels:
        """What DN of corrected pixels mean.

        All saturated pixels get one DN, the most that any live detector can report: the detectors saturate at
        one raw DN, and their corrections would draw stripes into what is evenly white.
        """
        if self.saturation is None:
            return Levels(nodata, None)
        reported = (np.float32(self.saturation) - self.dark[self._live]) * self.gain[self._live]
        most = float(reported.max())
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            most = float(np.clip(np.rint(most), limits.min + 1, limits.max))
            most -= most == nodata
        return Levels(nodata, most)

    def correct(
        self,
        dn: Plane,
        window: Window,
        nodata: float | None,
        read_raw: ReadRaw,
        shown: range | None = None,
    ) -> None:
        """Turn raw DN of `window` into DN, in place.

        Beyond the columns `shown`, all if None, the window repeats the outermost of them.

        `read_raw` is asked for single columns beside the window where a dead one has no live neighbour
        within. Raises what that raises.
        """
        levels = self.levels(dn.dtype, nodata)
        shown = shown or range(self.columns)
        columns = np.arange(window.col, window.col + window.width).clip(shown[0], shown[-1])
        self._calibrate(dn, columns, levels)
        live: dict[int, Plane] = {}
        for place in np.flatnonzero(np.isin(columns, self.dead)):
            column = int(columns[place])
            for neighbour in self._neighbours[column]:
                inside = neighbour - window.col
                if neighbour in live:
                    continue
                if 0 <= inside < window.width and neighbour in shown:
                    live[neighbour] = dn[:, inside]
                else:
                    live[neighbour] = self._beside(window, neighbour, dn.dtype, levels, read_raw)
            dn[:, place] = _between(column, self._neighbours[column], live, levels)

    @cached_property
    def _live(self) -> NDArray[np.intp]:
        return np.delete(np.arange(self.columns), self.dead)

    @cached_property
    def _neighbours(self) -> dict[int, tuple[int, int]]:
        """Of each dead column, the nearest live ones, or twice the only one at an end of the line."""
        after = np.searchsorted(self._live, self.dead)
        left = self._live[(after - 1).clip(0)]
        right = self._live[after.clip(max=len(self._live) - 1)]
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        return dict(zip(self.dead.tolist(), pairs, strict=True))

    def _beside(
        self, window: Window, column: int, dtype: np.dtype[Any], levels: Levels, read_raw: ReadRaw
    ) -> Plane:
        """A corrected column that is not in the window."""
        one = np.empty((window.height, 1), dtype)
        read_raw(Window(window.row, column, window.height, 1), one)
        self._calibrate(one, np.array([column]), levels)
        return one[:, 0]

    def _calibrate(self, dn: Plane, columns: NDArray[np.intp], levels: Levels) -> None:
        """Dark, gain and saturation, dead columns included."""
        dark, gain = self.dark[columns], self.gain[columns]
        rows = max(STRIP_PIXELS // len(columns), 1)
        for top in range(0, len(dn), rows):
            raw = dn[top : top + rows]
            absent = levels.absent(raw)
            saturated = np.zeros_like(absent) if self.saturation is None else raw >= self.saturation
            levels.put((raw.astype(np.float32) - dark) * gain, raw, absent, saturated & ~absent)


def _between(column: int, neighbours: tuple[int, int], live: dict[int, Plane], levels: Levels) -> Plane:
    """A dead column: linear between its live neighbours, or the one of them that is measured."""
    left, right = neighbours
    before, after = live[left], live[right]
    no_before, no_after = levels.absent(before), levels.absent(after)
    share = np.float32((column - left) / max(right - left, 1))
    values = before.astype(np.float32) * (1 - share) + after.astype(np.float32) * share
    values = np.where(no_before, after, np.where(no_after, before, values)).astype(np.float32)
    saturated = (no_before | levels.is_saturated(before)) & (no_after | levels.is_saturated(after))
    absent = no_before & no_after
    result = np.empty_like(before)
    levels.put(values, result, absent, saturated & ~absent)
    return result
