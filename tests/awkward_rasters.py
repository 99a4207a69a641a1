"""The same pixels in every file that a camera or a ground pipeline may write them to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from bnnpan_runtime.scene import SceneOptions

GSD = 0.5
RATIO = 4
TRANSFORM = Affine(GSD, 0, 600000, 0, -GSD, 5000000)
ROLES = ("blue", "green", "red", "nir")


@dataclass(frozen=True)
class Pixels:
    """PAN `(height, width)` and MS `(bands, ...)` that begins `offset` PAN pixels (rows, columns) before."""

    pan: np.ndarray
    ms: np.ndarray
    transform: Affine | None = TRANSFORM
    offset: tuple[float, float] = (0, 0)
    ratio: float = RATIO

    @property
    def ms_transform(self) -> Affine | None:
        if self.transform is None:
            return None
        moved = Affine.translation(-self.offset[1], -self.offset[0])
        return self.transform @ moved @ Affine.scale(self.ratio)

    def cast(self, dtype: str) -> Pixels:
        return replace(self, pan=self.pan.astype(dtype), ms=self.ms.astype(dtype))


NOTHING = SceneOptions()


@dataclass(frozen=True)
class Files:
    """What `fuse` is given."""

    pan: str
    ms: tuple[str, ...]
    options: SceneOptions = NOTHING


Writer = Callable[[Path, Pixels], Files]


def smooth_pixels(height: int = 160, width: int = 144, ratio: int = RATIO, bands: int = 4) -> Pixels:
    """A scene with relief and edges; no DN is 0 or above 2000."""
    random = np.random.default_rng(height * width + ratio)

    def relief(rows: int, cols: int, step: int) -> np.ndarray:
        y, x = np.mgrid[:rows, :cols] * step
        waves = 0.5 + 0.2 * np.sin(y / 11) * np.cos(x / 7) + 0.1 * np.sin((y + 2 * x) / 37)
        return waves + 0.1 * ((y // 48 + x // 40) % 2) + 0.02 * random.random((rows, cols))

    pan = relief(height, width, 1) * 1800 + 50
    coarse = [relief(-(-height // ratio), -(-width // ratio), ratio) for _ in range(bands)]
    ms = np.stack([(0.5 + 0.12 * band) * plane * 1800 + 50 for band, plane in enumerate(coarse)])
    return Pixels(pan.astype(np.uint16), ms.astype(np.uint16), ratio=ratio)


def write_file(path: Path, image: np.ndarray, transform: Affine | None, **profile: Any) -> str:
    """Write `(bands, height, width)`; the path as text."""
    bands, height, width = image.shape
    place = {} if transform is None else {"crs": "EPSG:32631", "transform": transform}
    settings = {"driver": "GTiff", "dtype": image.dtype, **place, **profile}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", count=bands, height=height, width=width, **settings) as raster:
            raster.write(image)
    return str(path)


def stored(suffix: str = ".tif", **profile: Any) -> Writer:
    """A writer of one PAN and one MS by these creation options."""

    def write(folder: Path, pixels: Pixels) -> Files:
        pan = write_file(folder / f"pan{suffix}", pixels.pan[None], pixels.transform, **profile)
        ms = write_file(folder / f"ms{suffix}", pixels.ms, pixels.ms_transform, **profile)
        return Files(pan, (ms,))

    return write


plain = stored()


def band_files(names: tuple[str, ...], order: tuple[int, ...], **options: Any) -> Writer:
    """MS as one file per band; `order` are the bands in the order they are given in."""

    def write(folder: Path, pixels: Pixels) -> Files:
        files = plain(folder, pixels)
        ms = tuple(
            write_file(folder / f"{names[band]}.tif", pixels.ms[band : band + 1], pixels.ms_transform)
            for band in order
        )
        return replace(files, ms=ms, options=SceneOptions(**options))

    return write


def reordered(order: tuple[int, ...], describe: str, bands: tuple[str, ...] | None = None) -> Writer:
    """MS in one file with its bands in another order, and something that says so."""

    def write(folder: Path, pixels: Pixels) -> Files:
        files = plain(folder, replace(pixels, ms=pixels.ms[list(order)]))
        with rasterio.open(files.ms[0], "r+") as raster:
            if describe == "descriptions":
                for band, source in enumerate(order, 1):
                    raster.set_band_description(band, f"Band {ROLES[source].upper()} (TOA)")
            elif describe == "colours":
                raster.colorinterp = [rasterio.enums.ColorInterp[ROLES[source]] for source in order]
        return replace(files, options=SceneOptions(bands=bands))

    return write


def virtual(separate: bool) -> Writer:
    """Virtual rasters over GeoTIFFs, MS over one file or over one per band."""

    def write(folder: Path, pixels: Pixels) -> Files:
        if separate:
            files = band_files(("a", "b", "c", "d"), (0, 1, 2, 3))(folder, pixels)
            sources = [(Path(path).name, 1) for path in files.ms]
        else:
            files = stored(compress="deflate")(folder, pixels)
            sources = [("ms.tif", band) for band in range(1, len(pixels.ms) + 1)]
        pan = write_vrt(folder / "pan.vrt", [("pan.tif", 1)], pixels.pan.shape, pixels.transform)
        ms = write_vrt(folder / "ms.vrt", sources, pixels.ms.shape[1:], pixels.ms_transform)
        return Files(pan, (ms,))

    return write


def write_vrt(
    path: Path,
    sources: list[tuple[str, int]],
    shape: tuple[int, ...],
    transform: Affine | None,
    dtype: str = "UInt16",
    nodata: tuple[float | None, ...] | None = None,
) -> str:
    """A virtual raster whose bands are bands of files beside it."""
    height, width = shape
    values = nodata or (None,) * len(sources)
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{band}">'
        + ("" if value is None else f"<NoDataValue>{value}</NoDataValue>")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename>'
        f"<SourceBand>{source}</SourceBand></SimpleSource></VRTRasterBand>"
        for band, ((name, source), value) in enumerate(zip(sources, values, strict=True), 1)
    )
    place = ""
    if transform is not None:
        place = "<SRS>EPSG:32631</SRS><GeoTransform>"
        place += ",".join(map(repr, transform.to_gdal())) + "</GeoTransform>"
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{place}{bands}</VRTDataset>')
    return str(path)


def zipped(folder: Path, pixels: Pixels) -> Files:
    """GeoTIFFs in an archive."""
    import zipfile

    files = plain(folder, pixels)
    with zipfile.ZipFile(folder / "scene.zip", "w") as archive:
        for path in (files.pan, *files.ms):
            archive.write(path, Path(path).name)
    return Files(
        *(f"/vsizip/{folder}/scene.zip/{name}" for name in ("pan.tif",)),
        (f"/vsizip/{folder}/scene.zip/ms.tif",),
    )


def with_overviews(folder: Path, pixels: Pixels) -> Files:
    """GeoTIFFs with reduced images inside."""
    files = stored(tiled=True, blockxsize=64, blockysize=64)(folder, pixels)
    for path in (files.pan, *files.ms):
        with rasterio.open(path, "r+") as raster:
            raster.build_overviews([2])
    return files


def nitf(folder: Path, pixels: Pixels) -> Files:
    """NITF, whose corners are whole metres."""
    moved = replace(pixels, transform=Affine(2, 0, 600000, 0, -2, 5000000))
    return stored(".ntf", driver="NITF", ICORDS="N")(folder, moved)


FILES: dict[str, Writer] = {
    "strips of one row": stored(blockysize=1),
    "strips of seven rows": stored(blockysize=7, compress="lzw"),
    "one strip": stored(blockysize=160),
    "one compressed strip": stored(blockysize=160, compress="deflate"),
    "tiles of 16": stored(tiled=True, blockxsize=16, blockysize=16),
    "tiles larger than the image": stored(tiled=True, blockxsize=512, blockysize=512, compress="zstd"),
    "bands one after the other": stored(interleave="band"),
    "bands one after the other in tiles": stored(interleave="band", tiled=True, compress="deflate"),
    "BigTIFF": stored(bigtiff="YES"),
    "big-endian": stored(endianness="BIG"),
    "big-endian, predictor": stored(endianness="BIG", compress="lzw", predictor=2),
    "LZW with predictor": stored(compress="lzw", predictor=2),
    "PackBits": stored(compress="packbits"),
    "ZSTD with predictor": stored(compress="zstd", predictor=2),
    "LZMA": stored(compress="lzma"),
    "LERC": stored(compress="lerc"),
    "LERC and deflate": stored(compress="lerc_deflate"),
    "LERC and ZSTD": stored(compress="lerc_zstd"),
    "11 bits": stored(nbits=11),
    "cloud-optimised": stored(driver="COG", compress="deflate"),
    "overviews": with_overviews,
    "virtual raster": virtual(separate=False),
    "virtual raster over a file per band": virtual(separate=True),
    "NITF": nitf,
    "JPEG 2000": stored(".jp2", driver="JP2OpenJPEG", quality="100", reversible="YES"),
    "JPEG 2000 in tiles": stored(
        ".jp2", driver="JP2OpenJPEG", quality="100", reversible="YES", blockxsize=64, blockysize=64
    ),
    "ENVI, bands one after the other": stored(".img", driver="ENVI"),
    "ENVI, interleaved by line": stored(".img", driver="ENVI", interleave="bil"),
    "ENVI, interleaved by pixel": stored(".img", driver="ENVI", interleave="bip"),
    "ERDAS Imagine": stored(".img", driver="HFA", compressed="YES"),
    "PCIDSK": stored(".pix", driver="PCIDSK"),
    "MRF": stored(".mrf", driver="MRF"),
    "in an archive": zipped,
    "a file per band, named by role": band_files(ROLES, (3, 0, 2, 1)),
    "a file per band, named by letter": band_files(("B", "G", "R", "N"), (2, 3, 1, 0)),
    "a file per band, said": band_files(
        ("1", "2", "3", "4"), (2, 1, 0, 3), bands=("red", "green", "blue", "nir")
    ),
    "a file per band, in the bundle's order": band_files(("w", "x", "y", "z"), (0, 1, 2, 3)),
    "described bands in another order": reordered((2, 1, 0, 3), "descriptions"),
    "coloured bands in another order": reordered((3, 2, 1, 0), "colours"),
    "bands in another order, said": reordered((2, 1, 0, 3), "", ("R", "Green", "BLUE", "NIR1")),
    "more bands than the bundle's, said": reordered(
        (0, 0, 1, 1, 2, 3), "", ("blue", "-", "green", "yellow", "red", "nir")
    ),
}
