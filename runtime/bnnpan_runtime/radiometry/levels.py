"""DN with a meaning of their own, which no measured pixel may come to have by correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bools", "Float32", "Levels", "Plane"]

Plane = NDArray[Any]
"""DN of one band, of any real type."""

Bools = NDArray[np.bool_]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Levels:
    """Of one band: the DN without measurement, and that of saturated pixels; None where there is none."""

    nodata: float | None
    saturated: float | None

    def absent(self, dn: Plane) -> Bools:
        """Where nothing is measured."""
        lost: Bools = ~np.isfinite(dn)
        return lost if self.nodata is None else lost | (dn == self.nodata)

    def is_saturated(self, dn: Plane) -> Bools:
        """Where corrected DN are saturated."""
        result: Bools = np.zeros(dn.shape, np.bool_) if self.saturated is None else dn == self.saturated
        return result

    def put(self, values: Float32, out: Plane, absent: Bools, saturated: Bools) -> None:
        """Measured values into `out`, and the levels where they belong; `values` is used up.

        Whole numbers are rounded, half to even, and clipped. What comes to be saturated without being it is
        moved one DN down; what comes to be NoData, likewise, or up at the end of the type.
        """
        if np.issubdtype(out.dtype, np.integer):
            self._round(values, np.iinfo(out.dtype))
        elif self.saturated is not None:
            np.minimum(values, np.nextafter(np.float32(self.saturated), np.float32(-np.inf)), out=values)
        np.copyto(out, values, casting="unsafe")
        if self.saturated is not None:
            out[saturated] = self.saturated
        if self.nodata is not None:
            out[absent] = self.nodata

    def _round(self, values: Float32, limits: np.iinfo[Any]) -> None:
        np.rint(values, out=values)
        top = limits.max if self.saturated is None else self.saturated - 1
        np.clip(values, limits.min, top, out=values)
        if self.nodata is not None:
            neighbour = self.nodata - 1 if self.nodata > limits.min else self.nodata + 1
            values[values == self.nodata] = neighbour
