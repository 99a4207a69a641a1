"""Which pixels of a raster were not measured, whatever says so, and the one DN that says so from here on.

GDAL knows a value per band, a mask file or an internal mask, and an alpha band; floats may be no numbers. All
of them hold at once. Where a raster of integers declares one value and nothing else, its DN are left as they
are. Anything else is rewritten while it is read: absent pixels become the marker, and a measured pixel that
happens to equal it moves to the next DN, as in the product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from bnnpan_runtime.units import Pixels, mark_nodata

__all__ = ["FLOAT_MARKER", "Absence", "absence_of", "declared_value", "mask_band"]

FLOAT_MARKER = float(np.finfo(np.float32).min)
"""Of absent pixels in scenes of float32: a finite number, so that comparing finds it."""

_ROWS = 64
"""Rows marked at a time, so that temporaries stay small."""


@dataclass(frozen=True)
class Absence:
    """What marks the absent pixels of some planes.

    marker    DN of absent pixels in what is read, None if nothing can be absent
    product   value for absent pixels of a product in these DN, None likewise
    declared  per plane the value that its file declares, None without one
    rewrites  whether DN change while they are read
    """

    marker: float | None
    product: float | None
    declared: tuple[float | None, ...]
    rewrites: bool

    def rewrite(self, planes: Pixels, first: int, masks: Sequence[NDArray[np.uint8] | None]) -> None:
        """Mark absent pixels of `(planes, height, width)`, of which the first is plane `first`, in place.

        `masks` has one per plane, 0 where a pixel is absent.
        """
        if self.marker is None or not self.rewrites:
            return
        for offset, (plane, mask) in enumerate(zip(planes, masks, strict=True)):
            for top in range(0, len(plane), _ROWS):
                rows = slice(top, top + _ROWS)
                absent = self._absent(plane[rows], first + offset)
                if mask is not None:
                    absent |= mask[rows] == 0
                mark_nodata(plane[None, rows], absent[None], self.marker)

    def _absent(self, pixels: Pixels, plane: int) -> NDArray[np.bool_]:
        declared = self.declared[plane]
        if pixels.dtype.kind != "f":
            return np.asarray(pixels == declared) if declared is not None else np.zeros(pixels.shape, bool)
        absent = ~np.isfinite(pixels)
        if declared is not None:
            absent |= pixels == pixels.dtype.type(declared)
        return absent


def absence_of(declared: Sequence[float | None], masked: bool, dtype: str) -> Absence:
    """How planes are marked whose files declare these values and, perhaps, `masked` pixels.

    The marker of integers is the first declared value, else the smallest DN.
    """
    values = [value for value in declared if value is not None]
    if np.dtype(dtype).kind == "f":
        finite = [value for value in values if math.isfinite(value)]
        return Absence(FLOAT_MARKER, finite[0] if finite else math.nan, tuple(declared), rewrites=True)
    if not values and not masked:
        return Absence(None, None, tuple(declared), rewrites=False)
    marker = values[0] if values else float(np.iinfo(dtype).min)
    plain = not masked and all(value == marker for value in declared)
    return Absence(int(marker), int(marker), tuple(declared), rewrites=not plain)


def declared_value(raster: DatasetReader, band: int) -> float | None:
    """The NoData value of a band, counted from 1; None if none or one that no pixel can have.

    Some files declare -9999 for unsigned pixels.
    """
    value, dtype = raster.nodatavals[band - 1], np.dtype(raster.dtypes[band - 1])
    if value is None:
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    limits = np.iinfo(dtype)
    return int(value) if limits.min <= value <= limits.max and value == int(value) else None


def mask_band(raster: DatasetReader, band: int) -> int | None:
    """The band whose mask is to be asked for a band: 1 if all share one; None without any.

    What the declared value or an alpha band say is no mask here: both are looked at by themselves.
    """
    flags = raster.mask_flag_enums[band - 1]
    if MaskFlags.alpha in flags or MaskFlags.all_valid in flags:
        return None
    if MaskFlags.per_dataset in flags:
        return 1
    return None if MaskFlags.nodata in flags else band
