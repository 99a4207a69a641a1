"""A block at half its resolution: each pixel is the mean of those four of its pixels that were measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.units import Pixels, mark_nodata

__all__ = ["halve"]

_ROWS = 32
"""Rows of the result at a time, so that temporaries stay small."""


def halve(block: Pixels, height: int, width: int, nodata: float | None, out: Pixels) -> None:
    """Fill `out` from the upper left `height x width` pixels of `block`, both `(rows, columns, bands)`.

    `out` has half as many, rounded up; an odd last row or column is taken twice, and `block`, which then has
    room behind it, is changed there. NoData counts for nothing: of four absent pixels comes an absent one. A
    mean that happens to equal NoData moves to the next DN. Means of integers round half up, as GDAL's do.
    """
    if height % 2:
        block[height] = block[height - 1]
    if width % 2:
        block[:, width] = block[:, width - 1]
    for top in range(0, len(out), _ROWS):
        part = out[top : top + _ROWS]
        rows = block[2 * top : 2 * (top + len(part)), : 2 * out.shape[1]]
        quarters = [rows[row::2, col::2] for row in (0, 1) for col in (0, 1)]
        absent = None if nodata is None else [_equal(quarter, nodata) for quarter in quarters]
        if absent is None or nodata is None or not any(gone.any() for gone in absent):
            _mean(quarters, part)
        else:
            _mean_of_measured(quarters, absent, part)
        if absent is not None and nodata is not None:
            gone = absent[0] & absent[1] & absent[2] & absent[3]
            mark_nodata(part.transpose(2, 0, 1), gone.transpose(2, 0, 1), nodata)


def _mean(quarters: list[Pixels], out: Pixels) -> None:
    is_float = out.dtype.kind == "f"
    total = np.add(quarters[0], quarters[1], dtype=np.float64 if is_float else np.int32)
    total += quarters[2]
    total += quarters[3]
    if is_float:
        np.multiply(total, 0.25, out=out, casting="unsafe")
    else:
        total += 2
        np.right_shift(total, 2, out=out, casting="unsafe")


def _mean_of_measured(quarters: list[Pixels], absent: list[NDArray[np.bool_]], out: Pixels) -> None:
    total, count = np.zeros(out.shape), np.zeros(out.shape)
    for quarter, gone in zip(quarters, absent, strict=True):
        np.add(total, quarter, out=total, where=~gone)
        count += ~gone
    np.maximum(count, 1, out=count)
    np.divide(total, count, out=total)
    if out.dtype.kind != "f":
        total += 0.5
        np.floor(total, out=total)
    np.copyto(out, total, casting="unsafe")


def _equal(pixels: Pixels, nodata: float) -> NDArray[Any]:
    return np.isnan(pixels) if nodata != nodata else np.asarray(pixels == nodata)
