"""How the PAN and MS grids lie on each other: whole ratio, and where PAN begins inside MS.

Transforms are taken as the exact rationals that their doubles are; only the final offset is rounded, once and
by a stated amount.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError

if TYPE_CHECKING:
    from rasterio.transform import Affine

__all__ = ["Grid", "grid_from_shapes", "grid_from_transforms", "same_grid"]

_OFFSET_BITS = 10
"""Offsets are whole multiples of 2**-10 of a PAN pixel: far below what georeferencing can mean, and free of
its rounding noise."""

_DRIFT_LIMIT = 1
"""PAN pixels by which two georeferenced grids may drift apart over the scene: pixel sizes in real files are
rounded (SpaceNet writes 0.499993 and 2.000097 m), but a ratio of 3.9 is not 4."""

_LARGEST_SIMPLIFICATION = Fraction(1, 16)
"""PAN pixels by which an offset that drifts over the scene anyway may be simplified: the corner, where such
grids were laid on each other, is then found again, and its interpolation has fewer taps."""

_SAME = Fraction(1, 1000)
"""Pixels by which two bands of one image may lie apart, in what their files say."""

_LARGEST_TURN = Fraction(1, 100)
"""Tangent of the angle between two grids above which they are not taken for drifting ones."""


@dataclass(frozen=True)
class Grid:
    """PAN pixel (0, 0) begins `row_offset, col_offset` PAN pixels inside the MS raster; any real number.

    `ratio` is the MS pixel size over the PAN pixel size, in both directions.
    """

    ratio: int
    row_offset: float = 0.0
    col_offset: float = 0.0

    def ms_rows(self, start: int, count: int) -> NDArray[np.intp]:
        """MS row that holds the centre of each of `count` PAN rows from `start`; it may lie outside MS."""
        return _containing(start, count, self.row_offset, self.ratio)

    def ms_cols(self, start: int, count: int) -> NDArray[np.intp]:
        """MS column that holds the centre of each of `count` PAN columns from `start`, likewise."""
        return _containing(start, count, self.col_offset, self.ratio)

    def part(self, row: int, col: int) -> Grid:
        """The grid of a PAN that begins at pixel `row, col` of this one."""
        return Grid(self.ratio, self.row_offset + row, self.col_offset + col)

    def covered(self, pan_shape: tuple[int, int], ms_shape: tuple[int, int]) -> Window:
        """The part of PAN that has MS, both `(height, width)`. Raises SceneError if there is none.

        Less than one MS pixel may be missing on a side: MS products are often cut to whole MS pixels, and its
        outermost pixels then stand in. Where more is missing, PAN pixels end whose centres lie outside MS.
        """
        row, height = _overlap(self.row_offset, pan_shape[0], ms_shape[0] * self.ratio, self.ratio)
        col, width = _overlap(self.col_offset, pan_shape[1], ms_shape[1] * self.ratio, self.ratio)
        if height <= 0 or width <= 0:
            raise SceneError("PAN and MS do not overlap; are they of the same place?")
        return Window(row, col, height, width)


def grid_from_transforms(
    pan: Affine, ms: Affine, window: Window, drift_limit: float | None = _DRIFT_LIMIT
) -> Grid:
    """Grid of a window of PAN and of the whole MS, both georeferenced.

    Exact in the window's centre, to half a step of the offset; without a limit, grids may drift apart any far
    towards its edges. Raises SceneError if they are rotated or mirrored against each other, are not in one
    whole ratio, or drift further.
    """
    step = _between(pan, ms)
    if max(abs(step.col_by_row), abs(step.row_by_col)) > _LARGEST_TURN * max(
        step.col_by_col, step.row_by_row
    ):
        raise SceneError("PAN and MS are rotated against each other; resample one onto the grid of the other")
    if min(step.col_by_col, step.row_by_row) <= 0:
        raise SceneError("one of PAN and MS is upside down or mirrored; flip it to lie as the other")
    ratio = _whole_ratio(1 / step.col_by_col, 1 / step.row_by_row)
    drift = step.drift(ratio, window.height, window.width)
    if drift_limit is not None and max(drift) > drift_limit:
        raise SceneError(
            f"PAN and MS pixel sizes are in a ratio of {float(1 / step.col_by_col):.5f} x"
            f" {float(1 / step.row_by_row):.5f}, not a whole number, and drift {float(max(drift)):.1f} PAN"
            " pixels apart: correct the georeferencing, resample MS, or fuse a part of the scene"
        )
    row, col = window.row + Fraction(window.height, 2), window.col + Fraction(window.width, 2)
    exact = step.offset(ratio, row, col)
    row_offset, col_offset = (
        _simplest(value, min(way / 2, _LARGEST_SIMPLIFICATION))
        for value, way in zip(exact, drift, strict=True)
    )
    return Grid(ratio, row_offset + window.row, col_offset + window.col)


def grid_from_shapes(pan_shape: tuple[int, int], ms_shape: tuple[int, int]) -> Grid:
    """Grid of two rasters that begin at the same corner.

    MS may be up to one MS pixel short or long, as rounding to whole MS pixels makes it. Raises SceneError if
    the sizes are in no whole ratio.
    """
    ratio = _whole_ratio(Fraction(pan_shape[1], ms_shape[1]), Fraction(pan_shape[0], ms_shape[0]))
    if any(abs(pan - ratio * ms) >= ratio for pan, ms in zip(pan_shape, ms_shape, strict=True)):
        raise SceneError(
            f"PAN of {pan_shape[1]} x {pan_shape[0]} pixels and MS of {ms_shape[1]} x {ms_shape[0]} are in no"
            " whole ratio, and without georeferencing nothing else tells where they lie"
        )
    return Grid(ratio)


def same_grid(first: Affine, second: Affine, shape: tuple[int, int]) -> bool:
    """Whether two grids agree to a thousandth of a pixel all over a raster of `(height, width)`."""
    step = _between(first, second)
    corners = [(row, col) for row in (0, shape[0]) for col in (0, shape[1])]
    moves = [(at[0] - corner[0], at[1] - corner[1]) for corner in corners for at in [step.at(*corner)]]
    return all(abs(move) <= _SAME for moved in moves for move in moved)


@dataclass(frozen=True)
class _Step:
    """From PAN to MS pixel coordinates: `row = row_by_row * r + row_by_col * c + row_at_origin`, ..."""

    row_by_row: Fraction
    row_by_col: Fraction
    row_at_origin: Fraction
    col_by_row: Fraction
    col_by_col: Fraction
    col_at_origin: Fraction

    def at(self, row: Fraction | int, col: Fraction | int) -> tuple[Fraction, Fraction]:
        """Where a point lies, `(row, col)`."""
        return (
            self.row_by_row * row + self.row_by_col * col + self.row_at_origin,
            self.col_by_row * row + self.col_by_col * col + self.col_at_origin,
        )

    def offset(self, ratio: int, row: Fraction, col: Fraction) -> tuple[Fraction, Fraction]:
        """PAN pixels that a point lies further inside MS than inside PAN, `(row, col)`."""
        ms_row, ms_col = self.at(row, col)
        return ratio * ms_row - row, ratio * ms_col - col

    def drift(self, ratio: int, height: int, width: int) -> tuple[Fraction, Fraction]:
        """PAN pixels, `(row, col)`, by which the offset changes over an image."""
        return (
            abs(self.row_by_row * ratio - 1) * height + abs(self.row_by_col * ratio) * width,
            abs(self.col_by_col * ratio - 1) * width + abs(self.col_by_row * ratio) * height,
        )


def _between(pan: Affine, ms: Affine) -> _Step:
    """Raises SceneError unless both transforms can be inverted."""
    (a, b, c, d, e, f), (p, q, r, s, t, u) = _exact(pan, "PAN"), _exact(ms, "MS")
    area = p * t - q * s
    return _Step(
        row_by_row=(p * e - s * b) / area,
        row_by_col=(p * d - s * a) / area,
        row_at_origin=(p * (f - u) - s * (c - r)) / area,
        col_by_row=(t * b - q * e) / area,
        col_by_col=(t * a - q * d) / area,
        col_at_origin=(t * (c - r) - q * (f - u)) / area,
    )


def _exact(transform: Affine, role: str) -> list[Fraction]:
    """The coefficients a to f of `x = a col + b row + c, y = d col + e row + f`."""
    values = tuple(transform)[:6]
    if all(map(math.isfinite, values)):
        exact = [Fraction(value) for value in values]
        if exact[0] * exact[4] != exact[1] * exact[3]:
            return exact
    raise SceneError(f"the geotransform of {role} has no inverse; correct its georeferencing")


def _whole_ratio(horizontal: Fraction, vertical: Fraction) -> int:
    ratio = round(horizontal)
    if max(horizontal, vertical) < 1:
        raise SceneError("the pixels of PAN are larger than those of MS; are PAN and MS swapped?")
    if ratio == 0 or round(vertical) != ratio:
        raise SceneError(
            f"PAN and MS pixels are in a ratio of {float(horizontal):.4g} x {float(vertical):.4g}: not one"
            " whole number in both directions"
        )
    return ratio


def _simplest(exact: Fraction, tolerance: Fraction) -> float:
    """The multiple of the largest power of two within half a step and `tolerance` of a value."""
    for bits in range(_OFFSET_BITS):
        nearest = Fraction(round(exact * 2**bits), 2**bits)
        if abs(nearest - exact) <= tolerance + Fraction(1, 2 ** (_OFFSET_BITS + 1)):
            return float(nearest)
    return float(Fraction(round(exact * 2**_OFFSET_BITS), 2**_OFFSET_BITS))


def _overlap(offset: float, pan: int, ms_end: int, ratio: int) -> tuple[int, int]:
    """First of `pan` PAN pixels of one axis that have MS, and how many; not above 0 if there are none."""
    first = 0 if -offset < ratio else math.ceil(-offset - 0.5)
    end = pan if offset + pan - ms_end < ratio else math.ceil(ms_end - offset - 0.5)
    return first, end - first


def _containing(start: int, count: int, offset: float, ratio: int) -> NDArray[np.intp]:
    centres = np.arange(start, start + count) + (offset + 0.5)
    index: NDArray[np.intp] = np.floor(centres / ratio).astype(np.intp)
    return index
