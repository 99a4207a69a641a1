"""Where a raster lies on the ground, by whatever its file says, and where a part of it lies."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from bnnpan_runtime.contract import Window

__all__ = ["Ground"]


@dataclass(frozen=True)
class Ground:
    """Georeferencing of one image; all of it may be there or nothing.

    crs        of the transform, or of the GCPs where there is no transform
    transform  None without one
    gcps       ground control points (rasterio's)
    rpcs       rational polynomial coefficients (rasterio's), None without
    """

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[Any, ...] = ()
    rpcs: Any = None

    @classmethod
    def of(cls, raster: DatasetReader) -> Ground:
        """Of an open raster."""
        transform = None if raster.transform.is_identity else raster.transform
        gcps, gcp_crs = raster.gcps
        crs = raster.crs or (gcp_crs if gcps else None)
        return cls(crs, transform, () if transform is not None else tuple(gcps), raster.rpcs)

    def part(self, window: Window) -> Ground:
        """Of a window of the image."""
        if not window.row and not window.col:
            return self
        transform = self.transform and self.transform @ Affine.translation(window.col, window.row)
        gcps = []
        for point in map(copy.copy, self.gcps):
            point.row, point.col = point.row - window.row, point.col - window.col
            gcps.append(point)
        rpcs = copy.copy(self.rpcs)
        if rpcs is not None:
            rpcs.line_off, rpcs.samp_off = rpcs.line_off - window.row, rpcs.samp_off - window.col
        return Ground(self.crs, transform, tuple(gcps), rpcs)
