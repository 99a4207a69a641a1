"""The last steps of a run: a Cloud Optimized GeoTIFF that is lost at no instant, statistics, a thumbnail."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from faults.small_products import FORM
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.shutil import copy as gdal_copy
from raw_scenes import SceneWriter, read_raster
from requirements import require_package

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main
from bnnpan_runtime.finishing.cog import CogWriter
from bnnpan_runtime.finishing.halving import halve
from bnnpan_runtime.finishing.order import Finishing, thumbnail_path
from bnnpan_runtime.finishing.statistics import BandStatistics, Sums
from bnnpan_runtime.finishing.thumbnail import THUMBNAIL_BYTES, thumbnail
from bnnpan_runtime.finishing.tiff import Field, FieldType, encode_directories, read_directory
from bnnpan_runtime.product.layout import lay_out
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.run import fuse
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.tiles import tiles
from bnnpan_runtime.urgency.deadline import Urgency

require_package("rio_cogeo")
from rio_cogeo import cog_validate  # noqa: E402

PLENTY = "4GiB"
COG = Finishing(cog=True)


def some_pixels(form: ProductFormat) -> np.ndarray:
    """DN with everything at the ends of their range, and NoData where there is any."""
    random = np.random.default_rng(form.height)
    pixels = random.normal(700, 90, (form.bands, form.height, form.width)).clip(
        0, 250 if "8" in form.dtype else 2047
    )
    pixels = pixels.astype(form.dtype)
    if np.dtype(form.dtype).kind != "f":
        limits = np.iinfo(form.dtype)
        pixels[0, 0, :2] = limits.min, limits.max
    if form.nodata is not None:
        pixels[:, 20:90, 10:130] = form.nodata
        pixels[0, -1, -1] = form.nodata
    return pixels


def written_cog(folder: Path, form: ProductFormat, pixels: np.ndarray) -> Path:
    """The finished copy of a mosaic of these pixels, with blocks of the usual size."""
    blocks = lay_out(folder / "mosaic.tif", form, {"MAKER": "a < b & c"})
    for tile in tiles(form.height, form.width, 256, 0):
        for block, part in blocks.grid.parts(tile.core):
            cut = pixels[:, part.row : part.row + part.height, part.col : part.col + part.width]
            blocks.write(block, part, cut)
    with CogWriter.beside(folder / "cog.tif", blocks, form.nodata) as writer:
        writer.write(folder / "cog.tif", writer.survey(nothing), nothing)
    blocks.close()
    return folder / "cog.tif"


def nothing() -> None:
    pass


def check_blocks(cog: Any, file: bytes) -> None:
    """Each has its size before it and its last four bytes once more behind it, as the header claims."""
    for (row, col), _ in cog.block_windows(1):
        place, size = (
            int(cog.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", 1)) for what in ("OFFSET", "SIZE")
        )
        end = place + size
        assert int.from_bytes(file[place - 4 : place], "little") == size
        assert file[end : end + 4] == file[end - 4 : end]


FORMS = {
    "uint16 with NoData": replace(FORM, height=700, width=900, bands=4, nodata=0, descriptions=(None,) * 4),
    "uint16 without": replace(FORM, height=512, width=512, nodata=None),
    "bytes": replace(
        FORM, height=300, width=515, bands=4, dtype="uint8", nodata=None, descriptions=(None,) * 4
    ),
    "negative": replace(FORM, height=513, width=257, bands=1, dtype="int16", nodata=-7, descriptions=(None,)),
    "floats": replace(FORM, height=400, width=300, dtype="float32", nodata=float("nan")),
    "one block": replace(
        FORM, height=100, width=80, bands=8, dtype="float32", nodata=None, descriptions=(None,) * 8
    ),
}


class TestCog:
    @pytest.mark.parametrize("kind", FORMS)
    def test_it_is_valid_and_has_the_pixels_and_everything_said_of_the_mosaic(
        self, tmp_path: Path, kind: str
    ):
        form, pixels = FORMS[kind], some_pixels(FORMS[kind])
        path = written_cog(tmp_path, form, pixels)
        assert cog_validate(path, strict=True) == (True, [], [])
        assert np.array_equal(read_raster(path), pixels, equal_nan=True)
        with rasterio.open(path) as cog, rasterio.open(tmp_path / "mosaic.tif") as mosaic:
            for said in (
                "transform",
                "crs",
                "descriptions",
                "dtypes",
                "scales",
                "block_shapes",
                "colorinterp",
            ):
                assert getattr(cog, said) == getattr(mosaic, said)
            assert repr(cog.nodata) == repr(mosaic.nodata)
            assert cog.tags() == mosaic.tags() and cog.tags()["MAKER"] == "a < b & c"
            check_blocks(cog, path.read_bytes())
            structure = cog.tags(ns="IMAGE_STRUCTURE")
            assert (structure["LAYOUT"], structure["COMPRESSION"]) == ("COG", "DEFLATE")

    @pytest.mark.parametrize("kind", ["uint16 without", "floats"])
    def test_overviews_are_those_that_gdal_makes(self, tmp_path: Path, kind: str):
        """Of even sizes: of odd ones its COG driver leaves out a row, `gdaladdo` and we do not."""
        form = FORMS[kind]
        path = written_cog(tmp_path, form, some_pixels(form))
        options = {"BLOCKSIZE": 256, "OVERVIEW_RESAMPLING": "AVERAGE", "COMPRESS": "DEFLATE"}
        gdal_copy(tmp_path / "mosaic.tif", tmp_path / "gdal.tif", driver="COG", **options)
        with rasterio.open(tmp_path / "gdal.tif") as expected, rasterio.open(path) as found:
            assert found.overviews(1) == expected.overviews(1) != []
            for level in range(len(found.overviews(1))):
                with (
                    rasterio.open(path, overview_level=level) as mine,
                    rasterio.open(tmp_path / "gdal.tif", overview_level=level) as theirs,
                ):
                    assert np.array_equal(mine.read(), theirs.read(), equal_nan=True)

    def test_one_of_more_than_4_gib_is_valid_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        from bnnpan_runtime.product import layout

        options = layout._options
        monkeypatch.setattr(layout, "_options", lambda *given: {**options(*given), "BIGTIFF": "YES"})
        path = written_cog(tmp_path, FORMS["negative"], some_pixels(FORMS["negative"]))
        assert path.read_bytes()[:4] == b"II+\0"
        assert cog_validate(path, strict=True) == (True, [], [])
        assert np.array_equal(read_raster(path), some_pixels(FORMS["negative"]))

    def test_gdal_opens_and_reads_it_without_a_word(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ):
        path = written_cog(tmp_path, FORMS["uint16 with NoData"], some_pixels(FORMS["uint16 with NoData"]))
        with (
            warnings.catch_warnings(),
            rasterio.Env(CPL_DEBUG=False),
            caplog.at_level(logging.INFO, "rasterio"),
        ):
            warnings.simplefilter("error")
            with rasterio.open(path) as product:
                product.read()
                product.read(out_shape=(product.count, 90, 70))
                assert product.tags(1)["STATISTICS_VALID_PERCENT"]
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
        assert capfd.readouterr().err == ""


@given(
    fields=st.dictionaries(
        st.integers(1, 2**16 - 1), st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=9), max_size=6
    ),
    is_big=st.booleans(),
)
def test_directories_are_read_as_they_were_written(fields: dict[int, list[int]], is_big: bool):
    directory = {tag: Field.of(FieldType.SHORT, values) for tag, values in fields.items()}
    file = encode_directories([directory, {256: Field.of(FieldType.LONG, [1])}], is_big, b"odd")
    assert read_directory(file) == (directory, is_big)


@given(
    data=st.data(),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    nodata=st.sampled_from([None, 0, 3]),
)
def test_a_halved_block_has_the_means_of_what_was_measured(
    data: Any, height: int, width: int, dtype: str, nodata: int | None
):
    values = data.draw(st.lists(st.integers(0, 5), min_size=height * width, max_size=height * width))
    block = np.zeros((8, 8, 1), dtype)
    block[:height, :width, 0] = np.reshape(values, (height, width))
    whole = np.pad(
        np.reshape(values, (height, width)).astype(float), ((0, height % 2), (0, width % 2)), "edge"
    )
    if nodata is not None:
        whole[whole == nodata] = np.nan
    out = np.zeros((-(-height // 2), -(-width // 2), 1), dtype)
    halve(block, height, width, nodata, out)
    for row, col in np.ndindex(out.shape[:2]):
        four = whole[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        if np.isnan(four).all():
            assert out[row, col, 0] == nodata
            continue
        mean = np.nanmean(four)
        expected = np.float32(mean) if dtype == "float32" else np.floor(mean + 0.5)
        if nodata is not None and expected == nodata:
            assert out[row, col, 0] != nodata and abs(out[row, col, 0] - nodata) <= 1
        else:
            assert out[row, col, 0] == pytest.approx(expected)


class TestStatistics:
    @pytest.mark.parametrize("kind", FORMS)
    def test_they_are_those_of_numpy(self, kind: str):
        form, pixels = FORMS[kind], some_pixels(FORMS[kind])
        sums = Sums(form.bands, form.nodata)
        for top in range(0, form.height, 100):
            sums.add(pixels[:, top : top + 100].transpose(1, 2, 0))
        for band, found in zip(pixels.astype(np.float64), sums.statistics(), strict=True):
            measured = band[np.isfinite(band) & (band != (1e9 if form.nodata is None else form.nodata))]
            assert (found.minimum, found.maximum) == (measured.min(), measured.max())
            assert found.mean == pytest.approx(measured.mean(), rel=1e-12)
            assert found.stddev == pytest.approx(measured.std(), rel=1e-9)
            assert found.valid_percent == pytest.approx(100 * measured.size / band.size, rel=1e-12)
            assert BandStatistics.from_tags(found.tags()) == found

    def test_gdal_finds_the_same(self, tmp_path: Path):
        path = written_cog(tmp_path, FORMS["negative"], some_pixels(FORMS["negative"]))
        with rasterio.open(tmp_path / "mosaic.tif") as mosaic, rasterio.open(path) as cog:
            theirs, ours = mosaic.stats(indexes=1, approx=False)[0], BandStatistics.from_tags(cog.tags(1))
        assert (ours.minimum, ours.maximum) == (theirs.min, theirs.max)
        assert (ours.mean, ours.stddev) == pytest.approx((theirs.mean, theirs.std), rel=1e-9)

    def test_nothing_is_said_of_a_band_without_a_measurement(self):
        sums = Sums(1, 0)
        sums.add(np.zeros((5, 5, 1), np.uint16))
        (found,) = sums.statistics()
        assert (found.mean, found.tags(), found.to_json()) == (None, {}, {"valid_percent": 0.0})


class TestThumbnail:
    def test_it_is_small_whatever_it_shows(self):
        noise = np.random.default_rng(1).integers(0, 2047, (256, 256, 3)).astype(np.uint16)
        data = thumbnail(noise, None, ("red", "green", "blue"))
        assert len(data) <= THUMBNAIL_BYTES

    def test_colours_come_from_the_roles_and_absent_pixels_are_black(self):
        top = np.zeros((64, 64, 4), np.uint16)
        top[:, 8:] = 100
        top[:, 32:, 2] = 2000  # the third band is red
        red, green, blue = read_jpeg(thumbnail(top, 0, ("blue", "green", "red", "nir")))
        assert red[:, 40:].mean() > 200 > 90 > green[:, 40:].mean()
        assert max(plane[:, :6].mean() for plane in (red, green, blue)) < 10

    def test_a_product_without_a_measurement_has_a_black_one(self):
        assert read_jpeg(thumbnail(np.zeros((9, 9, 1), np.uint8), 0, (None,))).max() == 0


def read_jpeg(data: bytes) -> np.ndarray:
    with warnings.catch_warnings(), MemoryFile(data) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as image:
            return image.read().astype(int)


class TestFuse:
    def test_the_same_bytes_however_it_is_tiled(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        raw, digests = write_scene(300, 290, nodata=0), set()
        plain = fuse(raw.pan, raw.ms, bundle, tmp_path / "plain.tif", memory=PLENTY)
        for tile, threads in ((64, 2), (256, 1)):
            path = tmp_path / f"{tile}.tif"
            report = fuse(
                raw.pan, raw.ms, bundle, path, memory=PLENTY, tile=tile, threads=threads, finishing=COG
            )
            assert report.product_sha256 == sha256_of(path)
            digests.add(report.product_sha256)
        assert len(digests) == 1
        assert cog_validate(path, strict=True) == (True, [], [])
        assert np.array_equal(read_raster(path), read_raster(tmp_path / "plain.tif"))
        assert (plain.statistics, plain.thumbnail, plain.item) == (None, None, None)
        assert report.statistics is not None and report.statistics[0].valid_percent == 100
        assert sorted(file.name for file in tmp_path.glob(".*")) == []

    def test_a_thumbnail_is_there_before_the_product(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        raw, out = write_scene(), tmp_path / "out.tif"

        def cut_off(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(CogWriter, "write", cut_off)
        with pytest.raises(KeyboardInterrupt) as stopped:
            fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, finishing=Finishing(cog=True, thumbnail=True))
        assert "1 of 1 blocks of out.tif are kept" in stopped.value.__notes__[0]
        assert thumbnail_path(out).read_bytes()[:3] == b"\xff\xd8\xff" and not out.exists()
        monkeypatch.undo()
        report = fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, finishing=COG)
        assert report.resumed_tiles == 1 and cog_validate(out, strict=True)[0]

    def test_a_product_that_a_deadline_has_cut_short_is_compressed_when_it_is_complete(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        raw, out = write_scene(300, 290), tmp_path / "out.tif"
        short = Urgency(deadline_seconds=1e-9)
        report = fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, tile=64, urgency=short, finishing=COG)
        assert report.missing_tiles and report.statistics is None
        with rasterio.open(out) as partial:
            assert partial.compression is None
        fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, tile=64, finishing=COG)
        whole = fuse(raw.pan, raw.ms, bundle, tmp_path / "whole.tif", memory=PLENTY, finishing=COG)
        assert sha256_of(out) == whole.product_sha256

    def test_a_preview_does_not_open_the_bundle_again(
        self, write_scene: SceneWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        raw, opened = write_scene(), []
        real = Bundle.open.__func__
        monkeypatch.setattr(
            Bundle, "open", classmethod(lambda cls, name: opened.append(name) or real(cls, name))
        )
        words = ["--pan", raw.pan, "--ms", raw.ms, "--out", tmp_path / "o.tif", "--memory", PLENTY]
        line = [str(word) for word in ("fuse", *words, "--preview", tmp_path / "p.png")]
        result = CliRunner().invoke(main, line, standalone_mode=False)
        assert result.exception is None, result.output
        assert opened == ["bgrn-x4"] and (tmp_path / "p.png").stat().st_size > 1000


def bnnpan(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bnnpan_runtime", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("dtype", ["uint16", pytest.param("float32", marks=pytest.mark.slow)])
def test_the_last_steps_keep_the_smallest_budget(
    write_scene: SceneWriter, tmp_path: Path, subprocess_environment: dict[str, str], dtype: str
):
    raw = write_scene(700, 600, dtype=dtype)
    scene = ["--pan", raw.pan, "--ms", raw.ms, "--json", "--cog", "--thumbnail", "--stac", "--bit-depth", 11]
    planned = json.loads(bnnpan(subprocess_environment, "plan", *scene, "--memory", "1GiB").stdout)
    assert planned["terms"]["finishing"] >= 0
    smallest = planned["smallest_budget_bytes"]
    words = (*scene, "--out", tmp_path / "out.tif", "--memory", smallest)
    result = bnnpan(subprocess_environment, "fuse", *words)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= smallest
    assert cog_validate(tmp_path / "out.tif", strict=True)[0]
