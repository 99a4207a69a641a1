"""The open scene: PAN and MS on one grid, in the coordinates of the product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rasterio.io import DatasetReader

from bnnpan_runtime.contract import Window
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.scene.form import ProductFormat
from bnnpan_runtime.scene.ground import Ground
from bnnpan_runtime.scene.raster import Raster
from bnnpan_runtime.tiles import even
from bnnpan_runtime.units import Pixels

__all__ = ["Scene", "SceneOptions"]


@dataclass(frozen=True)
class SceneOptions:
    """What is to be made of the files of a scene, where they do not say it or not all of it is wanted.

    bands   names of the bands of MS, one by one, "-" for one that has no role; None to find out
    extent  west, south, east, north of the part to fuse, in the coordinate system of PAN
    window  the part to fuse in PAN pixels
    """

    bands: tuple[str, ...] | None = None
    extent: tuple[float, float, float, float] | None = None
    window: Window | None = None


@dataclass(frozen=True)
class Scene:
    """An open scene. `height, width` are those of the product; windows may reach beyond it.

    dn_scale    largest DN of the bit depth, network unit 1 of networks that are fed DN over it
    pan_nodata  DN that marks a PAN pixel without measurement, None if there is none; `ms_nodata` likewise
    area        the part of PAN that is fused, in PAN pixels
    ground      where that part lies
    roles       names of the bands, None where nothing says them
    order       of each band, its place among the bands of the files that are no masks
    file_bands  how many those are
    notes       what was taken for granted and what was left out
    """

    pan: Raster
    ms: Raster
    grid: Grid
    dn_scale: float
    area: Window
    ground: Ground
    roles: tuple[str | None, ...]
    order: tuple[int, ...]
    file_bands: int
    notes: tuple[str, ...] = ()

    @staticmethod
    def bands_of(product: DatasetReader) -> tuple[str, ...] | None:
        """What a product calls its bands, to open a scene with these; None if it does not name all."""
        named = tuple(text for text in product.descriptions if text)
        return named if len(named) == product.count else None

    @property
    def height(self) -> int:
        """Rows of the product."""
        return self.area.height

    @property
    def width(self) -> int:
        """Columns of the product."""
        return self.area.width

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the scene the network sees: even, an odd last row or column repeated once."""
        return even(self.height), even(self.width)

    @property
    def bands(self) -> int:
        """MS bands."""
        return self.ms.count

    @property
    def ms_shape(self) -> tuple[int, int]:
        """Height and width of the MS raster."""
        return self.ms.shape

    @property
    def dtype(self) -> str:
        """Of PAN, MS and product."""
        return self.ms.dtype

    @property
    def pan_nodata(self) -> float | None:
        """Marker of PAN pixels without a measurement."""
        return self.pan.absence.marker

    @property
    def ms_nodata(self) -> float | None:
        """Marker of MS pixels without a measurement."""
        return self.ms.absence.marker

    @property
    def nodata(self) -> float | None:
        """What a product value without measurement becomes: what MS declares, else what PAN does."""
        return self.pan.absence.product if self.ms.absence.product is None else self.ms.absence.product

    @property
    def product_format(self) -> ProductFormat:
        """What the product inherits from this scene."""
        area, ground, ms = self.area, self.ground, self.ms
        tags = {"BNNPAN_SCENE": "; ".join(self.notes)} if self.notes else {}
        described: tuple[Any, ...] = ms.per_plane("descriptions")
        scales: tuple[Any, ...] = ms.per_plane("scales")
        offsets: tuple[Any, ...] = ms.per_plane("offsets")
        units: tuple[Any, ...] = ms.per_plane("units")
        return ProductFormat(
            height=area.height,
            width=area.width,
            bands=self.bands,
            dtype=self.dtype,
            nodata=self.nodata,
            crs=ground.crs,
            transform=ground.transform,
            descriptions=tuple(text or role for text, role in zip(described, self.roles, strict=True)),
            gcps=ground.gcps,
            rpcs=ground.rpcs,
            scales=scales,
            offsets=offsets,
            units=units,
            tags=tags,
        )

    def read_pan(self, window: Window, out: Pixels) -> None:
        """PAN DN of a window into `out` `(height, width)`; beyond the scene its edge."""
        area = self.area
        moved = Window(window.row + area.row, window.col + area.col, window.height, window.width)
        self.pan.read(moved, out[None], area)

    def read_ms(self, window: Window, out: Pixels) -> None:
        """MS DN of a window of the MS raster into `out` `(bands, height, width)`; beyond it its edge."""
        self.ms.read(window, out)
