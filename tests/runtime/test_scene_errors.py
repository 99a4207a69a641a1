"""A scene that cannot be fused is refused with one line that says what, where and what to do: exit code 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from awkward_rasters import (
    ROLES,
    TRANSFORM,
    Files,
    Pixels,
    band_files,
    plain,
    smooth_pixels,
    stored,
    write_file,
    write_vrt,
)
from click.testing import CliRunner
from rasterio.transform import Affine

from bnnpan_runtime.cli import main
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.scene import SceneOptions, open_pair

Writer = Callable[[Path, Pixels], Files]


def other_pan(**changes: object) -> Writer:
    """PAN written with other properties than MS."""

    def write(folder: Path, pixels: Pixels) -> Files:
        files = plain(folder, pixels)
        write_file(Path(files.pan), pixels.pan[None], changes.pop("transform", TRANSFORM), **changes)  # type: ignore[arg-type]
        return files

    return write


def swapped(folder: Path, pixels: Pixels) -> Files:
    files = plain(folder, pixels)
    return Files(files.ms[0], (files.pan,))


def swapped_single_bands(folder: Path, pixels: Pixels) -> Files:
    files = plain(folder, replace(pixels, ms=pixels.ms[:1]))
    return Files(files.ms[0], (files.pan,) * 4, SceneOptions(bands=ROLES))


def with_transform(transform: Affine) -> Writer:
    """PAN through a virtual raster, which writes down anything."""

    def write(folder: Path, pixels: Pixels) -> Files:
        files = plain(folder, pixels)
        pan = write_vrt(folder / "pan.vrt", [("pan.tif", 1)], pixels.pan.shape, transform)
        return replace(files, pan=pan)

    return write


def paletted(role: str) -> Writer:
    def write(folder: Path, pixels: Pixels) -> Files:
        small = replace(pixels, pan=pixels.pan // 8, ms=pixels.ms // 8).cast("uint8")
        files = plain(folder, small)
        image = small.pan[None] if role == "pan" else small.ms[:1]
        transform = small.transform if role == "pan" else small.ms_transform
        with rasterio.open(
            folder / "colours.tif", "w", driver="GTiff", width=image.shape[2], height=image.shape[1],
            count=1, dtype="uint8", photometric="PALETTE", crs="EPSG:32631", transform=transform,
        ) as raster:  # fmt: skip
            raster.write(image)
            raster.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
        path = str(folder / "colours.tif")
        return replace(files, pan=path) if role == "pan" else replace(files, ms=(path, *files.ms))

    return write


def text(content: bytes) -> Writer:
    def write(folder: Path, pixels: Pixels) -> Files:
        files = plain(folder, pixels)
        Path(files.pan).write_bytes(content)
        return files

    return write


def odd_band_file(**changes: object) -> Writer:
    """One of the files of MS differs."""

    def write(folder: Path, pixels: Pixels) -> Files:
        files = band_files(ROLES, (0, 1, 2, 3))(folder, pixels)
        image = pixels.ms[3:, : changes.get("height", 40)].astype(changes.get("dtype", "uint16"))
        settings = {"crs": changes["crs"]} if "crs" in changes else {}
        write_file(folder / "nir.tif", image, changes.get("transform", pixels.ms_transform), **settings)  # type: ignore[arg-type]
        return files

    return write


def asking(**options: object) -> Writer:
    return lambda folder, pixels: replace(plain(folder, pixels), options=SceneOptions(**options))  # type: ignore[arg-type]


def unplaced(**options: object) -> Writer:
    return lambda folder, pixels: asking(**options)(folder, replace(pixels, transform=None))


MS_TRANSFORM = TRANSFORM @ Affine.scale(4)

REFUSED: dict[str, tuple[Writer, str]] = {
    "PAN and MS swapped": (swapped, "one band"),
    "PAN and MS swapped, one band each": (swapped_single_bands, "swapped"),
    "PAN of two bands": (
        lambda folder, pixels: replace(
            plain(folder, pixels),
            pan=write_file(
                folder / "two.tif", np.stack([pixels.pan] * 2), TRANSFORM, photometric="MINISBLACK"
            ),
        ),
        "this has 2",
    ),
    "different coordinate systems": (other_pan(crs="EPSG:32632"), "coordinate system"),
    "different places": (other_pan(transform=TRANSFORM @ Affine.translation(9999, 0)), "overlap"),
    "a ratio that is not whole": (lambda f, p: plain(f, replace(p, ratio=3.7)), "ratio"),
    "a ratio per axis": (other_pan(transform=Affine(0.5, 0, 600000, 0, -1, 5000000)), "both directions"),
    "a ratio of 1": (lambda f, p: plain(f, replace(p, ratio=1)), "ratio of 1"),
    "rotated against each other": (other_pan(transform=TRANSFORM @ Affine.rotation(5)), "rotated"),
    "turned by a quarter": (other_pan(transform=TRANSFORM @ Affine.rotation(90)), "rotated"),
    "upside down": (other_pan(transform=Affine(0.5, 0, 600000, 0, 0.5, 4999920)), "upside down"),
    "a transform without an inverse": (with_transform(Affine(0.5, 0.5, 6e5, 0.5, 0.5, 5e6)), "inverse"),
    "a transform of zeros": (with_transform(Affine(0, 0, 6e5, 0, 0, 5e6)), "inverse"),
    "complex pixels": (lambda f, p: plain(f, p.cast("complex64")), "complex64"),
    "pixels of 32 bits": (lambda f, p: plain(f, p.cast("uint32")), "uint32"),
    "pixels of double precision": (lambda f, p: plain(f, p.cast("float64")), "float64"),
    "different types": (
        lambda f, p: replace(
            plain(f, p), pan=write_file(f / "b.tif", p.pan[None].astype("int16"), TRANSFORM)
        ),
        "same dtype",
    ),
    "a palette for PAN": (paletted("pan"), "palette"),
    "a palette for MS": (paletted("ms"), "palette"),
    "an empty file": (text(b""), "not a raster"),
    "a text": (text(b"PAN"), "not a raster"),
    "a header and nothing else": (text(b"II*\0\x08\0\0\0"), "not a raster"),
    "a folder": (lambda f, p: replace(plain(f, p), pan=str(f)), "not a raster"),
    "a missing file": (lambda f, p: replace(plain(f, p), ms=(str(f / "no.tif"),)), "does not exist"),
    "a virtual raster of no size": (
        lambda f, p: replace(plain(f, p), pan=write_vrt(f / "z.vrt", [("pan.tif", 1)], (0, 0), TRANSFORM)),
        "not a raster",
    ),
    "an image of one row": (
        lambda f, p: plain(f, replace(p, pan=p.pan[:1], ms=p.ms[:, :1])),
        "144 x 1",
    ),
    "too small a part": (asking(window=Window(0, 0, 40, 144)), "144 x 40"),
    "a window outside": (asking(window=Window(500, 0, 100, 100)), "outside"),
    "an extent outside": (asking(extent=(0, 0, 10, 10)), "outside"),
    "an extent that is empty": (asking(extent=(600010, 4999990, 600000, 4999999)), "empty"),
    "an extent without georeferencing": (unplaced(extent=(0, 0, 10, 10)), "window of pixels"),
    "sizes in no ratio": (
        lambda f, p: plain(f, replace(p, transform=None, ms=p.ms[:, :33])),
        "both directions",
    ),
    "band files of different sizes": (odd_band_file(height=39), "36 x 39"),
    "band files of different types": (odd_band_file(dtype="uint8"), "uint8"),
    "band files of different places": (
        odd_band_file(transform=MS_TRANSFORM @ Affine.translation(0.5, 0)),
        "another grid",
    ),
    "band files of different coordinate systems": (odd_band_file(crs="EPSG:32632"), "coordinate system"),
    "a band too few": (lambda f, p: plain(f, replace(p, ms=p.ms[:3])), "takes 4"),
    "a name too few": (asking(bands=("blue", "green", "red")), "MS has 4"),
    "a role twice": (asking(bands=("blue", "green", "nir", "nir")), "two bands are named nir"),
    "a role missing": (asking(bands=("blue", "green", "red", "rededge")), "no band is named nir"),
    "floats of unknown depth": (lambda f, p: plain(f, p.cast("float32")), "--bit-depth"),
}


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return smooth_pixels()


def arguments(files: Files) -> list[str]:
    options = files.options
    given = ["plan", "--pan", files.pan, "--memory", "4GiB", "--backend", "native", "--register", "off"]
    for path in files.ms:
        given += ["--ms", path]
    if options.bands:
        given += ["--bands", ",".join(options.bands)]
    if options.extent:
        given += ["--extent", ",".join(map(str, options.extent))]
    if options.window:
        place = options.window
        given += ["--window", f"{place.col},{place.row},{place.width},{place.height}"]
    return given


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_in_one_line(pixels: Pixels, tmp_path: Path, kind: str):
    write, word = REFUSED[kind]
    result = CliRunner().invoke(main, arguments(write(tmp_path, pixels)))
    assert result.exit_code == 3, result.output
    lines = [line for line in result.output.splitlines() if "error:" in line]
    assert len(lines) == 1 and word in lines[0]


CUT_SHORT = {
    "GeoTIFF": stored(),
    "GeoTIFF, compressed": stored(compress="deflate"),
    "GeoTIFF, one strip": stored(blockysize=160, compress="zstd"),
    "JPEG 2000": stored(".jp2", driver="JP2OpenJPEG", quality="100", reversible="YES"),
    "ENVI": stored(".img", driver="ENVI"),
    "ESRI .hdr": stored(".bil", driver="EHdr"),
    "ERDAS Imagine": stored(".img", driver="HFA"),
    "PCIDSK": stored(".pix", driver="PCIDSK"),
}


@pytest.mark.parametrize("kind", CUT_SHORT)
def test_a_file_that_ends_too_early_gives_no_pixels(pixels: Pixels, tmp_path: Path, kind: str):
    files = CUT_SHORT[kind](tmp_path, pixels)
    content = Path(files.ms[0]).read_bytes()
    Path(files.ms[0]).write_bytes(content[: len(content) // 2])
    with (
        pytest.raises(SceneError, match=f"{Path(files.ms[0]).name}.*(damaged or truncated|not a raster)"),
        open_pair(files.pan, files.ms, SceneOptions()) as scene,
    ):
        scene.read_ms(Window(0, 0, *scene.ms_shape), np.empty((scene.bands, *scene.ms_shape), scene.dtype))


def test_a_virtual_raster_whose_source_is_gone_gives_no_pixels(pixels: Pixels, tmp_path: Path):
    files = plain(tmp_path, pixels)
    pan = write_vrt(tmp_path / "pan.vrt", [("gone.tif", 1)], pixels.pan.shape, TRANSFORM)
    with (
        pytest.raises(SceneError, match="gone"),
        open_pair(pan, files.ms, SceneOptions()) as scene,
    ):
        scene.read_pan(Window(0, 0, 160, 144), np.empty((160, 144), np.uint16))


@pytest.mark.parametrize(
    ("option", "value"), [("--extent", "1,2,3"), ("--window", "0,0,a,5"), ("--bands", "blue,,red,nir")]
)
def test_a_list_that_is_none_is_wrong_usage(pixels: Pixels, tmp_path: Path, option: str, value: str):
    result = CliRunner().invoke(main, [*arguments(plain(tmp_path, pixels)), option, value])
    assert result.exit_code == 2 and option in result.output
