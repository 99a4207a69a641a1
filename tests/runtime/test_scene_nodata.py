"""What was not measured never leaks into what was, whatever marks it and whatever its pixels hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from awkward_rasters import Files, Pixels, plain, smooth_pixels, stored, write_file, write_vrt

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.scene import SceneOptions, open_pair, open_scene

Masks = tuple[np.ndarray, np.ndarray]
"""Where PAN `(height, width)` and MS `(bands, height, width)` have no measurement."""

GARBAGE = {
    "uint8": (0, 255, 7),
    "uint16": (0, 65535, 900),
    "int16": (-32768, 32767, 0),
    "float32": (-3e38, 3e38, 0),
}


def frame(pan: np.ndarray, ms: np.ndarray) -> None:
    pan[:, :13] = pan[151:] = True
    ms[:, :, :2] = True


def holes(pan: np.ndarray, ms: np.ndarray) -> None:
    pan[40:60, 50:70] = True
    ms[:, 20:25, 8:12] = True
    ms[2, 5:9, 5:9] = True


def single_pixels(pan: np.ndarray, ms: np.ndarray) -> None:
    pan[33, 47] = pan[100, 0] = pan[159, 143] = True
    ms[:, 12, 12] = ms[1, 30, 20] = True


def diagonal(pan: np.ndarray, ms: np.ndarray) -> None:
    rows, cols = np.mgrid[:160, :144]
    pan[rows + cols < 90] = True
    rows, cols = np.mgrid[:40, :36]
    ms[:, rows - cols > 25] = True


PATTERNS = [frame, holes, single_pixels, diagonal]


def masks(pixels: Pixels, pattern: Callable[[np.ndarray, np.ndarray], None]) -> Masks:
    pan, ms = np.zeros(pixels.pan.shape, bool), np.zeros(pixels.ms.shape, bool)
    pattern(pan, ms)
    return pan, ms


def same_in_all(ms: np.ndarray) -> np.ndarray:
    """A mask of all bands, for what cannot mark one of them alone."""
    return np.broadcast_to(ms.any(axis=0), ms.shape)


def holding(pixels: Pixels, absent: Masks, value: float) -> Pixels:
    """Absent pixels hold this."""
    pan, ms = pixels.pan.copy(), pixels.ms.copy()
    pan[absent[0]], ms[absent[1]] = value, value
    return replace(pixels, pan=pan, ms=ms)


def declared(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
    return stored(nodata=value)(folder, holding(pixels, absent, value))


def _masked(internal: bool) -> Callable[[Path, Pixels, Masks, float], Files]:
    def write(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
            files = plain(folder, holding(pixels, absent, value))
            for path, gone in ((files.pan, absent[0]), (files.ms[0], absent[1].any(axis=0))):
                with rasterio.open(path, "r+") as raster:
                    raster.write_mask(np.where(gone, 0, 255).astype(np.uint8))
        assert internal != (folder / "ms.tif.msk").exists()
        return files

    return write


def alpha(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
    held = holding(pixels, absent, value)
    opaque = np.iinfo(pixels.ms.dtype).max
    files = plain(folder, held)
    for path, image, gone, grid in (
        (files.pan, held.pan[None], absent[0], held.transform),
        (files.ms[0], held.ms, absent[1].any(axis=0), held.ms_transform),
    ):
        extra = np.where(gone, 0, opaque).astype(image.dtype)[None]
        write_file(Path(path), np.concatenate([image, extra]), grid, photometric="MINISBLACK", alpha="NO")
        with rasterio.open(path, "r+") as raster:
            raster.colorinterp = [*raster.colorinterp[:-1], rasterio.enums.ColorInterp.alpha]
    return files


def per_band(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
    """Every band of MS declares a value of its own."""
    files = stored(nodata=0)(folder, holding(pixels, absent, 0))
    values = (0, 1, 2, 65535)
    ms = pixels.ms.copy()
    for band, marker in enumerate(values):
        ms[band][absent[1][band]] = marker
    source = write_file(folder / "bands.tif", ms, pixels.ms_transform)
    bands = [(Path(source).name, band) for band in range(1, 5)]
    vrt = write_vrt(folder / "ms.vrt", bands, ms.shape[1:], pixels.ms_transform, nodata=values)
    return replace(files, ms=(vrt,))


def dataset_values(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
    """A pixel is absent where all bands have their value of NODATA_VALUES."""
    files = stored(nodata=0)(folder, holding(pixels, absent, 0))
    with rasterio.open(files.ms[0], "r+") as raster:
        raster.nodata = None
        raster.update_tags(NODATA_VALUES="0 0 0 0")
    return files


MARKED = {
    "a declared value": (declared, "uint16", False),
    "a mask file": (_masked(internal=False), "uint16", True),
    "an internal mask": (_masked(internal=True), "uint16", True),
    "an alpha band": (alpha, "uint16", True),
    "an alpha band of bytes": (alpha, "uint8", True),
    "a value of its own in every band": (per_band, "uint16", False),
    "one value for all bands together": (dataset_values, "uint16", True),
    "a declared value of int16": (declared, "int16", False),
    "a mask file of int16": (_masked(internal=False), "int16", True),
    "a declared value of float32": (declared, "float32", False),
    "a mask file of float32": (_masked(internal=False), "float32", True),
}


def read(files: Files) -> tuple[np.ndarray, np.ndarray, float, float]:
    """All of a scene, and its markers."""
    with open_pair(files.pan, files.ms, SceneOptions()) as scene:
        pan = np.empty((scene.height, scene.width), scene.dtype)
        ms = np.empty((scene.bands, *scene.ms_shape), scene.dtype)
        scene.read_pan(Window(0, 0, *pan.shape), pan)
        scene.read_ms(Window(0, 0, *scene.ms_shape), ms)
        return pan, ms, scene.pan_nodata, scene.ms_nodata


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return smooth_pixels()


@pytest.mark.parametrize("kind", MARKED)
def test_absent_pixels_are_marked_and_measured_ones_are_kept(pixels: Pixels, tmp_path: Path, kind: str):
    write, dtype, of_all_bands = MARKED[kind]
    scene = replace(pixels, pan=pixels.pan // 8, ms=pixels.ms // 8) if dtype == "uint8" else pixels
    scene = scene.cast(dtype)
    for pattern in PATTERNS:
        pan_gone, ms_gone = masks(scene, pattern)
        ms_gone = same_in_all(ms_gone) if of_all_bands else ms_gone
        for value in GARBAGE[dtype]:
            if write is declared and (scene.pan == value).any() | (scene.ms == value).any():
                continue  # that would be another scene
            folder = tmp_path / f"{pattern.__name__} {value}"
            folder.mkdir()
            pan, ms, pan_marker, ms_marker = read(write(folder, scene, (pan_gone, ms_gone), value))
            assert np.array_equal(pan == pan_marker, pan_gone)
            assert np.array_equal(ms == ms_marker, ms_gone)
            assert np.array_equal(pan[~pan_gone], scene.pan[~pan_gone])
            if write is per_band:  # measured DN of 0 there would move, and there are none
                assert not (scene.ms == 0).any()
            assert np.array_equal(ms[~ms_gone], scene.ms[~ms_gone])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_the_product_of_measured_pixels_is_the_same_whatever_the_absent_ones_hold(
    pixels: Pixels, bundle: Bundle, tmp_path: Path, pattern: Callable[..., None], dtype: str
):
    scene = pixels.cast(dtype)
    absent = masks(scene, pattern)
    absent = (absent[0], same_in_all(absent[1]))
    gone = absent[0] | absent[1].repeat(4, axis=1).repeat(4, axis=2)[:, :160, :144]
    products = []
    ways = [(declared, GARBAGE[dtype][0]), (declared, GARBAGE[dtype][1]), (_masked(internal=False), 1234)]
    if dtype == "float32":
        ways += [(declared, np.nan), (plain_floats, np.nan), (plain_floats, -np.inf)]
    for place, (write, value) in enumerate(ways):
        folder = tmp_path / str(place)
        folder.mkdir()
        files = write(folder, scene, absent, value)
        fuse(
            files.pan,
            files.ms,
            bundle,
            folder / "out.tif",
            memory="4GiB",
            backend="native",
            bit_depth=11,
            register="off",
        )
        with rasterio.open(folder / "out.tif") as raster:
            product, nodata = raster.read(), raster.nodata
        is_nodata = np.isnan(product) if np.isnan(nodata) else product == product.dtype.type(nodata)
        assert np.array_equal(is_nodata, gone)
        products.append(np.where(gone, 0, product))
    assert all(np.array_equal(product, products[0]) for product in products)


def plain_floats(folder: Path, pixels: Pixels, absent: Masks, value: float) -> Files:
    """Nothing declares anything: what is no number was not measured."""
    return plain(folder, holding(pixels, absent, value))


def test_a_measured_dn_that_equals_the_marker_moves_by_one(pixels: Pixels, tmp_path: Path):
    pan, ms = pixels.pan.copy(), pixels.ms.copy()
    pan[5:9, 5:9] = ms[:, 3, 3] = 0
    scene, absent = replace(pixels, pan=pan, ms=ms), masks(pixels, holes)
    found_pan, found_ms, *markers = read(_masked(internal=True)(tmp_path, scene, absent, 77))
    assert markers == [0, 0]
    assert (found_pan[5:9, 5:9] == 1).all() and (found_ms[:, 3, 3] == 1).all()


def test_an_alpha_band_of_bytes_that_the_bundle_needs_as_a_band_is_one(
    pixels: Pixels, bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """GDAL calls the fourth of four bands of bytes transparency if its writer says nothing."""
    dark = replace(pixels, pan=pixels.pan // 8, ms=pixels.ms // 8).cast("uint8")
    files = plain(tmp_path, dark)
    with open_scene(files.pan, files.ms, bundle.manifest) as scene:
        assert scene.bands == 4 and scene.ms_nodata is None
    assert "--bands" in caplog.text
