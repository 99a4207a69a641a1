"""Minimum, maximum, mean and standard deviation of what was measured, collected block by block.

Sums are of differences from the first measured value, so that they stay small. Of integers they are exact
within a block, and blocks follow one order: a product has the same statistics however it was tiled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bnnpan_runtime.units import Pixels

__all__ = ["BandStatistics", "Sums"]

_ROWS = 64
"""Rows taken at a time, so that temporaries stay small."""


@dataclass(frozen=True)
class BandStatistics:
    """Of one band, in DN; without a measured pixel there are no values.

    stddev         of the population
    valid_percent  pixels that were measured
    """

    minimum: float | None
    maximum: float | None
    mean: float | None
    stddev: float | None
    valid_percent: float

    def tags(self) -> dict[str, str]:
        """As GDAL keeps them with a band: other programs need not compute them again."""
        if self.mean is None:
            return {}
        return {f"STATISTICS_{name.upper()}": repr(value) for name, value in asdict(self).items()}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> BandStatistics:
        """The inverse of `tags`."""
        if "STATISTICS_MEAN" not in tags:
            return cls(None, None, None, None, 0.0)
        names = ("minimum", "maximum", "mean", "stddev", "valid_percent")
        return cls(*(float(tags[f"STATISTICS_{name.upper()}"]) for name in names))

    def to_json(self) -> dict[str, Any]:
        """As STAC has statistics of a band."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Sums:
    """What is collected of all bands."""

    def __init__(self, bands: int, nodata: float | None) -> None:
        self._bands = [_BandSums() for _ in range(bands)]
        self._nodata = nodata

    def add(self, block: Pixels) -> None:
        """Count DN `(rows, columns, bands)`."""
        for top in range(0, len(block), _ROWS):
            for band, sums in enumerate(self._bands):
                sums.add(block[top : top + _ROWS, :, band], self._nodata)

    def statistics(self) -> tuple[BandStatistics, ...]:
        """Of everything counted."""
        return tuple(sums.statistics() for sums in self._bands)


class _BandSums:
    def __init__(self) -> None:
        self._pixels, self._count, self._first = 0, 0, 0.0
        self._sum, self._squares = 0.0, 0.0
        self._minimum, self._maximum = math.inf, -math.inf

    def add(self, plane: Pixels, nodata: float | None) -> None:
        self._pixels += plane.size
        measured = plane.ravel() if nodata is None else plane[plane != nodata]
        if measured.dtype.kind == "f":
            measured = measured[np.isfinite(measured)]
        if not measured.size:
            return
        if not self._count:
            self._first = float(measured[0])
        self._count += measured.size
        self._minimum = min(self._minimum, float(measured.min()))
        self._maximum = max(self._maximum, float(measured.max()))
        difference = measured.astype(np.float64)
        difference -= self._first
        self._sum += float(difference.sum())
        np.square(difference, out=difference)
        self._squares += float(difference.sum())

    def statistics(self) -> BandStatistics:
        if not self._count:
            return BandStatistics(None, None, None, None, 0.0)
        mean = self._sum / self._count
        variance = max(self._squares / self._count - mean**2, 0.0)
        percent = 100.0 * self._count / self._pixels
        return BandStatistics(self._minimum, self._maximum, self._first + mean, math.sqrt(variance), percent)
