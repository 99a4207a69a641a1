"""Registration: how far PAN and MS of a scene lie apart beyond what their files say, and its correction.

The correction costs nothing: it is an offset between the grids, which the interpolation to LMS takes into
account anyway.
"""

from __future__ import annotations

import ctypes
import logging
import math
from collections.abc import Mapping
from dataclasses import replace

from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.registration.measure import (
    Source,
    decide,
    in_steps,
    largest_shift,
    measure,
)
from bnnpan_runtime.registration.shift import Outcome, Register, Shift
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.storage import raster_cache

__all__ = ["SHIFT_TAG", "Outcome", "Register", "Shift", "find_shift", "grid_of_product", "shifted"]

SHIFT_TAG = "BNNPAN_SHIFT"
"""Of a product: the shift that was applied to its MS; without it there was none."""

_log = logging.getLogger(__name__)


def find_shift(scene: Source, grid: Grid, phase: Phase, register: Register = "auto") -> Shift:
    """The shift of a scene whose MS samples are taken to lie by `grid` and `phase`.

    Raises SceneError if a window cannot be read, or if a given shift is larger than interpolation corrects.
    """
    if register == "off":
        return Shift("off")
    if register != "auto":
        return _given(*register, grid.ratio)
    resampler = Resampler(grid, phase)
    peaks = measure(scene, grid.ratio, (resampler.row_origin, resampler.col_origin))
    _give_back()
    found = decide(peaks, grid.ratio)
    if found.outcome == "implausible":
        _log.warning(
            "PAN and MS lie %.2f rows and %.2f columns of PAN apart, more than the %g that interpolation"
            " corrects: the product is made without correction; correct the georeferencing of MS",
            found.row,
            found.col,
            largest_shift(grid.ratio),
        )
    return found


def shifted(grid: Grid, shift: Shift) -> Grid:
    """The grid with MS where it was found to lie."""
    if not shift.is_applied:
        return grid
    return replace(
        grid,
        row_offset=grid.row_offset + shift.applied_row,
        col_offset=grid.col_offset + shift.applied_col,
    )


def grid_of_product(grid: Grid, tags: Mapping[str, str]) -> Grid:
    """The grid that a product with these tags was made on, where the files of its scene say `grid`.

    Raises ValueError for a tag that no product has.
    """
    if SHIFT_TAG not in tags:
        return grid
    shift = Shift.of_tag(tags[SHIFT_TAG])
    if max(abs(shift.applied_row), abs(shift.applied_col)) > largest_shift(grid.ratio):
        raise ValueError("larger than any that is corrected")
    return shifted(grid, shift)


def _give_back() -> None:
    """Return what the windows took to the system: the plan would count it twice."""
    with raster_cache(0):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, other C libraries need none
        if trim is not None:
            trim(0)


def _given(row: float, col: float, ratio: int) -> Shift:
    largest = largest_shift(ratio)
    if not (math.isfinite(row) and math.isfinite(col) and max(abs(row), abs(col)) <= largest):
        raise SceneError(
            f"a shift of {col:g},{row:g} PAN pixels was given; it may be at most {largest:g} to either side,"
            " two MS pixels: correct the georeferencing of MS instead"
        )
    return Shift("given", applied_row=in_steps(row), applied_col=in_steps(col))
