"""DN to network units and back, and which DN mean that nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.grid import Grid

__all__ = ["Pixels", "mark_nodata", "missing", "normalise", "quantise", "sum_of_measured"]

Pixels = NDArray[Any]
"""DN as they are stored: uint8, uint16, int16 or float32."""


def normalise(
    dn: Pixels,
    offset: Sequence[float],
    scale: Sequence[float],
    nodata: float | None,
    out: NDArray[np.float32],
) -> None:
    """`out = (dn - offset) / scale`, both `(planes, height, width)`; `offset` and `scale` are one per plane.

    NoData becomes 0, lest a marker like 65535 rings through the interpolation.
    """
    with np.errstate(over="ignore"):  # of the marker of float32, which is replaced at once
        np.subtract(dn, _per_plane(offset), out=out, dtype=np.float32)
        np.divide(out, _per_plane(scale), out=out)
    if nodata is not None:
        np.copyto(out, np.float32(0), where=dn == nodata)


def quantise(
    image: NDArray[np.float32], offset: Sequence[float], scale: Sequence[float], out: Pixels
) -> None:
    """Nearest DN (half to even) of `image * scale + offset` within the range of `out`; float32 as it is.

    Both `(planes, height, width)`, `offset` and `scale` one per plane; `image` is used up. What is not a
    number becomes the smallest DN of an integer.
    """
    np.multiply(image, _per_plane(scale), out=image)
    np.add(image, _per_plane(offset), out=image)
    if out.dtype.kind != "f":
        limits = np.iinfo(out.dtype)
        np.rint(image, out=image)
        np.fmax(image, np.float32(limits.min), out=image)
        np.fmin(image, np.float32(limits.max), out=image)
    np.copyto(out, image, casting="unsafe")


def missing(
    pan: Pixels,
    ms: Pixels,
    core: Window,
    ms_window: Window,
    grid: Grid,
    nodata: tuple[float | None, float | None],
    out: NDArray[np.bool_],
) -> None:
    """Where the product has no measurement: PAN has none, or (per band) the MS pixel it lies in has none.

    `pan` `(height, width)` and `out` `(bands, height, width)` are those of `core`; `ms` that of `ms_window`.
    `nodata` holds the markers of PAN and MS.
    """
    pan_nodata, ms_nodata = nodata
    out[...] = False if pan_nodata is None else pan == pan_nodata
    if ms_nodata is None:
        return
    rows = grid.ms_rows(core.row, core.height).clip(ms_window.row, ms_window.row + ms_window.height - 1)
    cols = grid.ms_cols(core.col, core.width).clip(ms_window.col, ms_window.col + ms_window.width - 1)
    for band, target in zip(ms, out, strict=True):
        target |= (band == ms_nodata)[(rows - ms_window.row)[:, None], cols - ms_window.col]


def mark_nodata(product: Pixels, absent: NDArray[np.bool_], nodata: float) -> None:
    """Write NoData where `absent`; a measured value that happens to equal it moves to the next DN."""
    neighbour = _neighbour(nodata, product.dtype)
    for band, gone in zip(product, absent, strict=True):
        np.copyto(band, neighbour, where=band == nodata)
        np.copyto(band, band.dtype.type(nodata), where=gone)


def sum_of_measured(dn: Pixels, nodata: float | None) -> float:
    """Exact sum of the DN that are not NoData, the same on every processor."""
    measured = dn if nodata is None else dn[dn != nodata]
    if measured.dtype.kind == "f":
        return fsum(measured.ravel().tolist())
    return int(np.sum(measured, dtype=np.int64))


def _neighbour(dn: float, dtype: np.dtype[Any]) -> Any:
    """The next DN above, or below the largest one; NaN has none."""
    if dtype.kind == "f":
        return np.nextafter(dtype.type(dn), dtype.type(np.inf))
    return dtype.type(dn + 1 if dn < np.iinfo(dtype).max else dn - 1)


def _per_plane(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None, None]
