"""The product does not depend on how the pixels of a scene are stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from awkward_rasters import FILES, Files, Pixels, band_files, plain, smooth_pixels
from click.testing import CliRunner

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main


def product(files: Files, bundle: Bundle, out: Path, **options: object) -> np.ndarray:
    fuse(
        files.pan,
        files.ms,
        bundle,
        out,
        memory="4GiB",
        backend="native",
        scene_options=files.options,
        register="off",
        overwrite=True,
        **options,
    )
    with rasterio.open(out) as raster:
        return raster.read()


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return smooth_pixels()


@pytest.fixture(scope="module")
def expected(pixels: Pixels, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("plain")
    return product(plain(folder, pixels), bundle, folder / "out.tif")


@pytest.mark.parametrize("kind", FILES)
def test_the_product_is_that_of_plain_files(
    pixels: Pixels, bundle: Bundle, expected: np.ndarray, tmp_path: Path, kind: str
):
    files = FILES[kind](tmp_path, pixels)
    found = product(files, bundle, tmp_path / "out.tif", tile=64)
    assert np.array_equal(found, expected)
    with rasterio.open(tmp_path / "out.tif") as raster, rasterio.open(files.pan) as pan:
        assert raster.transform == pan.transform
        assert raster.crs.to_epsg() == 32631
        assert raster.nodata is None


def test_from_the_command_line_with_everything_said(pixels: Pixels, bundle: Bundle, tmp_path: Path):
    """A part of a scene with a file per band in another order; preview and quality look at the same part."""
    large = replace(pixels, pan=np.tile(pixels.pan, (2, 2)), ms=np.tile(pixels.ms, (1, 2, 2)))
    files = band_files(("1", "2", "3", "4"), (2, 0, 3, 1))(tmp_path, large)
    scene = ["--pan", files.pan, *(word for path in files.ms for word in ("--ms", path))]
    scene += ["--bands", "red,blue,nir,green", "--window", "30,40,200,180"]
    out, picture = tmp_path / "out.tif", tmp_path / "out.png"
    given = ["fuse", *scene, "--out", str(out), "--memory", "4GiB", "--preview", str(picture), "--json"]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    assert "red file 1 band 1" in result.output and "200 x 180" in result.output
    with rasterio.open(out) as raster:
        assert raster.shape == (180, 200) and raster.descriptions == ("blue", "green", "red", "nir")
        assert "red file 1 band 1" in raster.tags()["BNNPAN_SCENE"]
    with rasterio.open(picture) as drawn:
        assert drawn.shape == (180, 3 * 200 + 2 * 6)
    result = CliRunner().invoke(main, ["quality", *scene, "--fused", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["consistency"]["fused"]["SAM"] < 2
