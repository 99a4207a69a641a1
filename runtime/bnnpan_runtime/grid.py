"""How the PAN and MS grids lie on each other: whole ratio, and where PAN begins inside MS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.errors import SceneError

if TYPE_CHECKING:
    from rasterio.transform import Affine

__all__ = ["Grid", "grid_from_shapes", "grid_from_transforms"]

_OFFSET_STEP = 2**-10
"""Offsets are kept in steps of a thousandth of a PAN pixel: far below what georeferencing can mean, and free
of its rounding noise."""

_DRIFT_LIMIT = 1.0
"""PAN pixels by which two georeferenced grids may drift apart over the scene: pixel sizes in real files are
rounded (SpaceNet writes 0.499993 and 2.000097 m), but a ratio of 3.9 is not 4."""


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

    def check_cover(self, pan_shape: tuple[int, int], ms_shape: tuple[int, int]) -> None:
        """Raise SceneError unless MS covers PAN, both `(height, width)`.

        Less than one MS pixel may be missing on a side: MS products are often cut to whole MS pixels, and its
        outermost pixels then stand in.
        """
        for side, offset, pan, ms in (
            ("rows", self.row_offset, pan_shape[0], ms_shape[0]),
            ("columns", self.col_offset, pan_shape[1], ms_shape[1]),
        ):
            missing = max(-offset, offset + pan - ms * self.ratio)
            if missing >= self.ratio:
                raise SceneError(
                    f"MS does not cover PAN: {missing:g} PAN {side} have no MS pixel;"
                    " cut PAN to the extent of MS"
                )


def grid_from_transforms(pan: Affine, ms: Affine, pan_shape: tuple[int, int]) -> Grid:
    """Grid of two georeferenced rasters.

    Raises SceneError if they are rotated against each other or not in a whole ratio.
    """
    height, width = pan_shape
    step = ~ms @ pan  # PAN pixel coordinates to MS pixel coordinates
    ratio = _whole_ratio(1 / step.a if step.a else 0.0, 1 / step.e if step.e else 0.0)
    drifts = (
        (abs(step.a * ratio - 1) * width, abs(step.e * ratio - 1) * height),
        (abs(step.b * ratio) * height, abs(step.d * ratio) * width),
    )
    if max(drifts[1]) > _DRIFT_LIMIT:
        raise SceneError("PAN and MS are rotated against each other; resample one onto the grid of the other")
    if max(drifts[0]) > _DRIFT_LIMIT:
        raise SceneError(
            f"PAN and MS pixel sizes are in a ratio of {1 / step.a:.4f} x {1 / step.e:.4f}, not a whole"
            " number: correct the georeferencing or resample MS"
        )
    return Grid(ratio, _rounded(step.f * ratio), _rounded(step.c * ratio))


def grid_from_shapes(pan_shape: tuple[int, int], ms_shape: tuple[int, int]) -> Grid:
    """Grid of two rasters that begin at the same corner.

    MS may be up to one MS pixel short or long, as rounding to whole MS pixels makes it. Raises SceneError if
    the sizes are in no whole ratio.
    """
    ratio = _whole_ratio(pan_shape[1] / ms_shape[1], pan_shape[0] / ms_shape[0])
    if any(abs(pan - ratio * ms) >= ratio for pan, ms in zip(pan_shape, ms_shape, strict=True)):
        raise SceneError(
            f"PAN of {pan_shape[1]} x {pan_shape[0]} pixels and MS of {ms_shape[1]} x {ms_shape[0]} are in no"
            " whole ratio, and without georeferencing nothing else tells where they lie"
        )
    return Grid(ratio)


def _containing(start: int, count: int, offset: float, ratio: int) -> NDArray[np.intp]:
    centres = np.arange(start, start + count) + (offset + 0.5)
    index: NDArray[np.intp] = np.floor(centres / ratio).astype(np.intp)
    return index


def _whole_ratio(horizontal: float, vertical: float) -> int:
    ratio = round(horizontal)
    if ratio < 1 or round(vertical) != ratio:
        raise SceneError(
            f"PAN and MS pixels are in a ratio of {horizontal:.4g} x {vertical:.4g}: not one whole number"
            " in both directions"
        )
    return ratio


def _rounded(offset: float) -> float:
    return round(offset / _OFFSET_STEP) * _OFFSET_STEP
