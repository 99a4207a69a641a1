"""DN to network units and back, and which DN mean that nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.grid import Grid

__all__ = ["Pixels", "mark_nodata", "missing", "normalise", "quantise"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""DN as they are stored."""


def normalise(
    dn: Pixels, offset: Sequence[float], scale: Sequence[float], nodata: int | None, out: NDArray[np.float32]
) -> None:
    """`out = (dn - offset) / scale`, both `(planes, height, width)`; `offset` and `scale` are one per plane.

    NoData becomes 0, lest a marker like 65535 rings through the interpolation.
    """
    np.subtract(dn, _per_plane(offset), out=out, dtype=np.float32)
    np.divide(out, _per_plane(scale), out=out)
    if nodata is not None:
        np.copyto(out, np.float32(0), where=dn == nodata)


def quantise(
    image: NDArray[np.float32], offset: Sequence[float], scale: Sequence[float], out: Pixels
) -> None:
    """Nearest whole DN (half to even) of `image * scale + offset` within the dtype of `out`.

    Both `(planes, height, width)`, `offset` and `scale` one per plane; `image` is used up. What is not a
    number becomes 0.
    """
    np.multiply(image, _per_plane(scale), out=image)
    np.add(image, _per_plane(offset), out=image)
    np.rint(image, out=image)
    np.fmax(image, np.float32(0), out=image)
    np.fmin(image, np.float32(np.iinfo(out.dtype).max), out=image)
    np.copyto(out, image, casting="unsafe")


def missing(
    pan: Pixels,
    ms: Pixels,
    core: Window,
    ms_window: Window,
    grid: Grid,
    nodata: tuple[int | None, int | None],
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


def mark_nodata(product: Pixels, absent: NDArray[np.bool_], nodata: int) -> None:
    """Write NoData where `absent`; a measured value that happens to equal it is moved by one DN."""
    neighbour = nodata + 1 if nodata < np.iinfo(product.dtype).max else nodata - 1
    for band, gone in zip(product, absent, strict=True):
        np.copyto(band, band.dtype.type(neighbour), where=band == nodata)
        np.copyto(band, band.dtype.type(nodata), where=gone)


def _per_plane(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None, None]
