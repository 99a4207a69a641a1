"""A raw scene: one PAN and one MS raster, opened and checked to belong together and to the bundle."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from bnnpan_runtime.contract import Calibration, Manifest, Window
from bnnpan_runtime.errors import MismatchError, SceneError, one_line
from bnnpan_runtime.grid import Grid, grid_from_shapes, grid_from_transforms
from bnnpan_runtime.tiles import even
from bnnpan_runtime.units import Pixels

__all__ = ["ProductFormat", "Scene", "grid_of", "nodata_of", "open_scene"]

_log = logging.getLogger(__name__)

_DTYPES = ("uint8", "uint16")

SMALLEST_RATIO, LARGEST_RATIO = 2, 16
"""MS to PAN pixel size, as bundles may have it."""


@dataclass(frozen=True)
class ProductFormat:
    """What the product inherits: grid of PAN, bands and dtype of MS.

    `transform` is None without georeferencing.
    """

    height: int
    width: int
    bands: int
    dtype: str
    nodata: int | None
    crs: CRS | None
    transform: Affine | None
    descriptions: tuple[str | None, ...]


@dataclass(frozen=True)
class Scene:
    """An open scene. `height, width` are those of PAN; windows may lie in the scene padded to even sides.

    dn_scale      largest DN of the bit depth, network unit 1 of networks that are fed DN over it
    pan_nodata    DN that marks a PAN pixel without measurement, None if there is none; `ms_nodata` likewise
    """

    pan: DatasetReader
    ms: DatasetReader
    grid: Grid
    dtype: str
    dn_scale: float
    pan_nodata: int | None
    ms_nodata: int | None

    @property
    def height(self) -> int:
        """PAN rows."""
        return int(self.pan.height)

    @property
    def width(self) -> int:
        """PAN columns."""
        return int(self.pan.width)

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the scene the network sees: even, an odd last row or column repeated once."""
        return even(self.height), even(self.width)

    @property
    def bands(self) -> int:
        """MS bands."""
        return int(self.ms.count)

    @property
    def nodata(self) -> int | None:
        """DN that marks a product value without measurement: that of MS, else that of PAN."""
        return self.pan_nodata if self.ms_nodata is None else self.ms_nodata

    @property
    def product_format(self) -> ProductFormat:
        """What the product inherits from this scene."""
        pan, ms = self.pan, self.ms
        transform = None if pan.transform.is_identity else pan.transform
        return ProductFormat(
            self.height,
            self.width,
            self.bands,
            self.dtype,
            self.nodata,
            pan.crs or ms.crs,
            transform,
            tuple(ms.descriptions),
        )

    def read_pan(self, window: Window, out: Pixels) -> None:
        """PAN DN of a window of the padded scene into `out` `(height, width)`."""
        self._read(self.pan, window, out[None])

    def read_ms(self, window: Window, out: Pixels) -> None:
        """MS DN of a window of the MS raster into `out` `(bands, height, width)`; beyond it its edge."""
        self._read(self.ms, window, out)

    def _read(self, raster: DatasetReader, window: Window, out: Pixels) -> None:
        """Read what lies inside the raster, then repeat its outermost rows and columns in place."""
        top, bottom = _inside(window.row, window.height, raster.height)
        left, right = _inside(window.col, window.width, raster.width)
        inside = RasterioWindow(window.col + left, window.row + top, right - left, bottom - top)
        try:
            raster.read(out=out[:, top:bottom, left:right], window=inside)
        except RasterioError as error:
            raise SceneError(
                f"{raster.name}: cannot read {inside}: damaged or truncated file ({one_line(error)})"
            ) from error
        out[:, top:bottom, :left] = out[:, top:bottom, left : left + 1]
        out[:, top:bottom, right:] = out[:, top:bottom, right - 1 : right]
        out[:, :top] = out[:, top : top + 1]
        out[:, bottom:] = out[:, bottom - 1 : bottom]


@contextmanager
def open_scene(
    pan: str | os.PathLike[str],
    ms: str | os.PathLike[str],
    manifest: Manifest | None,
    bit_depth: int | None = None,
) -> Iterator[Scene]:
    """Open PAN and MS and check everything that can be checked without reading pixels.

    `bit_depth` of uint16 scenes defaults to the bundle's; uint8 scenes have 8. Without a manifest any bands
    and any ratio from 2 on will do, and uint16 scenes have 16 bits. Raises SceneError; MismatchError if the
    scene is not one for this bundle.
    """
    with ExitStack() as stack:
        pan_raster = stack.enter_context(_open("PAN", pan))
        ms_raster = stack.enter_context(_open("MS", ms))
        _check_bands(pan_raster, ms_raster, manifest)
        dtype = _dtype(pan_raster, ms_raster)
        grid = grid_of(pan_raster, ms_raster)
        _check_ratio(pan_raster, grid, manifest)
        grid.check_cover(pan_raster.shape, ms_raster.shape)
        patch = (Calibration() if manifest is None else manifest.calibration).patch
        if min(pan_raster.shape) < patch:
            raise SceneError(
                f"{pan_raster.name}: PAN has {pan_raster.width} x {pan_raster.height} pixels; it takes"
                f" {patch} x {patch} or more to calibrate"
            )
        scale = float(2 ** _bit_depth(dtype, bit_depth, manifest) - 1)
        nodata = (nodata_of(pan_raster), nodata_of(ms_raster))
        yield Scene(pan_raster, ms_raster, grid, dtype, scale, *nodata)


@contextmanager
def _open(role: str, path: str | os.PathLike[str]) -> Iterator[DatasetReader]:
    name = os.fspath(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(name)
    except RasterioError as error:
        if not name.startswith("/vsi") and "://" not in name and not Path(name).exists():
            raise SceneError(f"{role} {name} does not exist; check the path") from error
        raise SceneError(f"{role} {name} is not a raster that can be read ({one_line(error)})") from error
    with raster:
        yield raster


def _check_bands(pan: DatasetReader, ms: DatasetReader, manifest: Manifest | None) -> None:
    if pan.count != 1:
        raise SceneError(f"{pan.name}: PAN must have one band, this has {pan.count}; are PAN and MS swapped?")
    if manifest is not None and ms.count != manifest.network.bands:
        raise MismatchError(
            f"{ms.name}: MS has {ms.count} bands, bundle {manifest.id} takes {manifest.network.bands}"
            f" ({', '.join(manifest.band_roles)}); use a bundle made for these bands"
        )


def _check_ratio(pan: DatasetReader, grid: Grid, manifest: Manifest | None) -> None:
    if manifest is not None and grid.ratio != manifest.network.ratio:
        raise MismatchError(
            f"{pan.name}: PAN and MS pixels are in a ratio of {grid.ratio}, bundle {manifest.id}"
            f" is made for {manifest.network.ratio}; use a bundle of that ratio"
        )
    if not SMALLEST_RATIO <= grid.ratio <= LARGEST_RATIO:
        raise SceneError(
            f"{pan.name}: PAN and MS pixels are in a ratio of {grid.ratio}, must be {SMALLEST_RATIO} to"
            f" {LARGEST_RATIO}; are these a PAN and an MS?"
        )


def _dtype(pan: DatasetReader, ms: DatasetReader) -> str:
    for raster in (pan, ms):
        others = set(raster.dtypes) - set(_DTYPES)
        if others:
            raise SceneError(f"{raster.name}: pixels are {min(others)}, must be uint8 or uint16 DN")
    kinds = {*pan.dtypes, *ms.dtypes}
    if len(kinds) > 1:
        raise SceneError(
            f"{pan.name}: PAN is {pan.dtypes[0]}, MS is {ms.dtypes[0]}; store both with the same dtype"
        )
    return str(ms.dtypes[0])


def grid_of(pan: DatasetReader, ms: DatasetReader) -> Grid:
    """How two rasters lie on each other, by their georeferencing if both have one. Raises SceneError."""
    if pan.crs and ms.crs and pan.crs != ms.crs:
        raise SceneError(
            f"{ms.name}: MS has another coordinate system than PAN; reproject one onto the other"
        )
    without = [raster.name for raster in (pan, ms) if raster.transform.is_identity]
    if len(without) == 1:
        _log.warning("%s has no georeferencing; PAN and MS are taken to begin at the same corner", without[0])
    if without:
        return grid_from_shapes(pan.shape, ms.shape)
    return grid_from_transforms(pan.transform, ms.transform, pan.shape)


def _bit_depth(dtype: str, wanted: int | None, manifest: Manifest | None) -> int:
    if dtype == "uint8":
        if wanted not in (None, 8):
            raise SceneError(
                f"a bit depth of {wanted} was asked for, the scene is uint8 and has 8 bits; leave it out"
            )
        return 8
    assumed = 16 if manifest is None else manifest.bit_depth
    depth = assumed if wanted is None else wanted
    if not 1 <= depth <= 16:
        raise SceneError(f"a bit depth of {depth} was asked for, uint16 scenes have 1 to 16 bits")
    return depth


def nodata_of(raster: DatasetReader) -> int | None:
    """The declared NoData value of an integer raster, None if none or one that no pixel can have.

    Some files declare -9999 for unsigned pixels.
    """
    value, dtype = raster.nodata, np.dtype(raster.dtypes[0])
    if value is None or not np.issubdtype(dtype, np.integer):
        return None
    limits = np.iinfo(dtype)
    return int(value) if value in range(limits.min, limits.max + 1) else None


def _inside(start: int, count: int, length: int) -> tuple[int, int]:
    """Part of `count` places from `start` that lies in `0 .. length - 1`, never empty for covered scenes."""
    first = min(max(-start, 0), count - 1)
    return first, max(min(count, length - start), first + 1)
