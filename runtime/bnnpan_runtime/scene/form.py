"""What a product inherits from its scene, and how it says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rasterio.crs import CRS
from rasterio.io import DatasetWriter
from rasterio.transform import Affine

__all__ = ["ProductFormat", "describe"]


@dataclass(frozen=True)
class ProductFormat:
    """Grid of PAN; bands, dtype and scaling of MS.

    crs             of the transform, else of the GCPs
    transform       None without georeferencing
    gcps, rpcs      sensor geometry, as rasterio has it
    scales, offsets per band, what turns DN into the quantity in `units`; empty: none of them say so
    tags            what was taken for granted
    """

    height: int
    width: int
    bands: int
    dtype: str
    nodata: float | None
    crs: CRS | None
    transform: Affine | None
    descriptions: tuple[str | None, ...]
    gcps: tuple[Any, ...] = ()
    rpcs: Any = None
    scales: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    units: tuple[str | None, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def georeference(self) -> dict[str, Any]:
        """Arguments of `rasterio.open` that create a file which lies there."""
        found: dict[str, Any] = {"crs": self.crs}
        if self.transform is not None:
            found["transform"] = self.transform
        elif self.gcps:
            found["gcps"] = list(self.gcps)
        if self.rpcs is not None:
            found["rpcs"] = self.rpcs
        return found


def describe(raster: DatasetWriter, form: ProductFormat, tags: Mapping[str, str]) -> None:
    """Write everything into a new file that is no pixel."""
    raster.update_tags(**form.tags, **tags)
    for index, description in enumerate(form.descriptions, 1):
        if description:
            raster.set_band_description(index, description)
    for index, unit in enumerate(form.units, 1):
        if unit:
            raster.set_band_unit(index, unit)
    if any(scale != 1 for scale in form.scales) or any(form.offsets):
        raster.scales, raster.offsets = form.scales, form.offsets
