"""The shift between PAN and MS of a scene, from windows at fixed places: nothing else of it is read.

Each window gives one shift. The median of those that show the same thing in PAN and MS stands for the scene,
as far as enough of them agree; clouds, which move between the two exposures, and water, which shows nothing,
are outvoted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np

from bnnpan_runtime.contract import ENOUGH_VALID, Calibration, Window
from bnnpan_runtime.memory import Arrays, allocate
from bnnpan_runtime.registration.peak import Peak, find_peak
from bnnpan_runtime.registration.shift import STEP, Shift
from bnnpan_runtime.registration.spectra import Frequencies, Plane, spectra

__all__ = ["Source", "decide", "in_steps", "largest_shift", "measure"]

WINDOWS = 16
"""Measured, of up to `_CANDIDATES` places, as others hold no data."""

_CANDIDATES = 4 * WINDOWS

_SIDES = (64, 48, 32)
"""MS pixels along a window: the largest that is at most two thirds of the scene."""

_LARGEST_PAN_SIDE = 512
"""Pixels; with large ratios windows have fewer MS pixels."""

_FEWEST = 4
_MOST_DISSENT = 0.25
"""Of sharp windows, those that may be further than the tolerance from the median."""

_TOLERANCE = 1 / 8
"""Of an MS pixel, but at least half a PAN pixel."""

_FLOOR = 0.25
"""PAN pixels: a smaller shift is not worth leaving the grids that the files declare."""

_CERTAINTY = 2.0
"""Deviations of single windows that an applied shift has at least. The median is surer than they are by the
root of their number, but what windows have in common, it has, too."""

_LARGEST = 2.0
"""MS pixels: beyond, PAN and MS belong together in another way than the files say."""


class Source(Protocol):
    """A scene, as far as registration goes; `Scene` is one."""

    @property
    def height(self) -> int: ...  # noqa: D102  # PAN rows
    @property
    def width(self) -> int: ...  # noqa: D102  # PAN columns
    @property
    def bands(self) -> int: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def ms_shape(self) -> tuple[int, int]: ...  # noqa: D102  # MS rows and columns
    @property
    def pan_nodata(self) -> float | None: ...  # noqa: D102
    @property
    def ms_nodata(self) -> float | None: ...  # noqa: D102

    def read_pan(self, window: Window, out: Any) -> None:
        """PAN DN into `(height, width)`."""
        ...

    def read_ms(self, window: Window, out: Any) -> None:
        """MS DN into `(bands, height, width)`."""
        ...


@dataclass(frozen=True)
class _Place:
    """A window of both rasters; `origin`: its first MS sample in PAN pixels from its first PAN pixel."""

    pan: Window
    ms: Window
    origin: tuple[float, float]


def measure(scene: Source, ratio: int, origin: tuple[float, float]) -> list[Peak]:
    """Peaks of all windows that hold data, their shifts in PAN pixels.

    `origin` is where MS sample (0, 0) should lie, in PAN pixels from the centre of PAN pixel (0, 0): that of
    the `Resampler`. Raises SceneError if a window cannot be read.
    """
    side = _side(scene, ratio)
    if side is None:
        return []
    frequencies = Frequencies.of(side)
    buffers = {name: allocate(*array) for name, array in _arrays(scene, ratio, side).items()}
    peaks: list[Peak] = []
    for place in _places(scene, ratio, origin, side):
        scene.read_pan(place.pan, buffers["pan"])
        scene.read_ms(place.ms, buffers["ms"])
        pan = Plane.of(buffers["pan"], scene.pan_nodata, ENOUGH_VALID)
        bands = [Plane.of(band, scene.ms_nodata, ENOUGH_VALID) for band in buffers["ms"]]
        measured = [band for band in bands if band is not None]
        if pan is None or len(measured) < len(bands):
            continue
        peak = _peak(pan, measured, place.origin, frequencies, ratio)
        if peak is not None:
            peaks.append(peak)
        if len(peaks) == WINDOWS:
            break
    return peaks


def decide(peaks: Sequence[Peak], ratio: int) -> Shift:
    """The shift of a scene, and whether it is to be applied."""
    sharp = [peak for peak in peaks if peak.is_sharp]
    if not sharp:
        return Shift("unsure", windows=len(peaks))
    places = np.array([(peak.row, peak.col) for peak in sharp])
    tolerance = max(0.5, ratio * _TOLERANCE)
    agree = np.max(np.abs(places - np.median(places, axis=0)), axis=1) <= tolerance
    count = int(agree.sum())
    if count < max(_FEWEST, (1 - _MOST_DISSENT) * len(sharp)):
        return Shift("unsure", agreeing=count, windows=len(peaks))
    row, col = np.median(places[agree], axis=0).tolist()
    # 1.4826: makes the median of deviations that of a normal distribution.
    spread = float(1.4826 * np.median(np.abs(places[agree] - (row, col)), axis=0).max())
    facts = {
        "row": row,
        "col": col,
        "spread": spread,
        "sharpness": float(np.median([peak.sharpness for peak in sharp])),
        "agreeing": count,
        "windows": len(peaks),
    }
    if max(abs(row), abs(col)) > largest_shift(ratio):
        return Shift("implausible", **facts)
    if math.hypot(row, col) < max(_FLOOR, _CERTAINTY * spread):
        return Shift("negligible", **facts)
    return Shift("applied", applied_row=in_steps(row), applied_col=in_steps(col), **facts)


def largest_shift(ratio: int) -> float:
    """PAN pixels along an axis that are corrected at most."""
    return _LARGEST * ratio


def in_steps(shift: float) -> float:
    """The nearest whole number of steps."""
    return round(shift / STEP) * STEP


def _side(scene: Source, ratio: int) -> int | None:
    """MS pixels along the windows; None if the scene is too small for any."""
    shortest = min(*scene.ms_shape, scene.height // ratio, scene.width // ratio)
    fitting = (side for side in _SIDES if 3 * side <= 2 * shortest and side * ratio <= _LARGEST_PAN_SIDE)
    return next(fitting, None)


def _arrays(scene: Source, ratio: int, side: int) -> Arrays:
    return {
        "pan": ((side * ratio, side * ratio), scene.dtype),
        "ms": ((scene.bands, side, side), scene.dtype),
    }


def _places(scene: Source, ratio: int, origin: tuple[float, float], side: int) -> Iterator[_Place]:
    """Windows on the same ground, spread evenly; no two alike."""
    seen = set()
    for window in islice(Calibration(side * ratio).places(scene.height, scene.width), _CANDIDATES):
        rows = _aligned(window.row, side, ratio, origin[0], scene.height, scene.ms_shape[0])
        cols = _aligned(window.col, side, ratio, origin[1], scene.width, scene.ms_shape[1])
        if (rows, cols) not in seen:
            seen.add((rows, cols))
            yield _Place(
                Window(rows[0], cols[0], side * ratio, side * ratio),
                Window(rows[1], cols[1], side, side),
                (rows[2], cols[2]),
            )


def _aligned(
    start: int, side: int, ratio: int, origin: float, pan_length: int, ms_length: int
) -> tuple[int, int, float]:
    """First PAN pixel, first MS pixel and the origin of a stretch near `start` along one axis."""
    margin = (ratio - 1) / 2
    ms_start = min(max(round((start + margin - origin) / ratio), 0), ms_length - side)
    pan_start = min(max(round(ms_start * ratio + origin - margin), 0), pan_length - side * ratio)
    return pan_start, ms_start, ms_start * ratio + origin - pan_start


def _peak(
    pan: Plane,
    ms: Sequence[Plane],
    origin: tuple[float, float],
    frequencies: Frequencies,
    ratio: int,
) -> Peak | None:
    """Of one window, in PAN pixels: once as the grids lie, and again where that found the MS to lie."""
    first = find_peak(spectra(pan, ms, frequencies, origin, (0.0, 0.0)), frequencies)
    if first is None:
        return None
    moved = (first.row * ratio, first.col * ratio)
    second = find_peak(spectra(pan, ms, frequencies, origin, moved), frequencies)
    if second is None:
        return None
    return replace(second, row=second.row * ratio, col=second.col * ratio)
