from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.windows

from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.quality import measure
from bnnpan_runtime.synth.capture import Scene
from bnnpan_runtime.synth.write import write_scene

SIDE = 640  # more than one window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder, Scene(7, 4, 4, 11), SIDE, SIDE)
    rng = np.random.default_rng(0)
    with rasterio.open(folder / "truth.tif") as truth:
        values, profile = truth.read(), truth.profile
    noisy = np.clip(values + np.rint(rng.normal(0, 20, values.shape)), 1, 2047).astype(np.uint16)
    with rasterio.open(folder / "noisy.tif", "w", **profile) as dataset:
        dataset.write(noisy)
    profile["nodata"] = 0
    noisy[:, 100:200, 500:600] = 0
    with rasterio.open(folder / "holes.tif", "w", **profile) as dataset:
        dataset.write(noisy)
    return folder


def scene(folder: Path) -> tuple[str, str]:
    return str(folder / "pan.tif"), str(folder / "ms.tif")


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read().astype(np.float64)


def test_figures_are_those_of_the_whole_images(folder: Path):
    report = measure(*scene(folder), str(folder / "noisy.tif"), str(folder / "truth.tif"))
    fused, truth = pixels(folder / "noisy.tif"), pixels(folder / "truth.tif")
    mse = ((fused - truth) ** 2).mean(axis=(1, 2))
    cosine = (fused * truth).sum(0) / np.sqrt((fused**2).sum(0) * (truth**2).sum(0))
    scores = report.truth["fused"]
    assert report.pixels == SIDE**2
    assert scores.ergas == pytest.approx(25 * math.sqrt(np.mean(mse / truth.mean(axis=(1, 2)) ** 2)))
    assert scores.sam == pytest.approx(np.degrees(np.arccos(np.minimum(cosine, 1))).mean())
    assert scores.psnr == pytest.approx(np.mean(10 * np.log10(2047**2 / mse)))
    assert scores.rmse == pytest.approx(np.sqrt(mse))


def test_pixels_without_data_are_left_out(folder: Path):
    report = measure(*scene(folder), str(folder / "holes.tif"), str(folder / "truth.tif"))
    fused, truth = pixels(folder / "holes.tif"), pixels(folder / "truth.tif")
    there = fused[0] != 0
    assert report.pixels == there.sum() == SIDE**2 - 10_000
    expected = np.sqrt(((fused - truth)[:, there] ** 2).mean(axis=1))
    assert report.truth["fused"].rmse == pytest.approx(expected)


def test_the_truth_is_perfect_and_more_consistent_than_interpolation(folder: Path):
    report = measure(*scene(folder), str(folder / "truth.tif"), str(folder / "truth.tif"))
    scores = report.to_json()
    assert scores["truth"]["fused"]["ERGAS"] == 0
    assert scores["truth"]["fused"]["PSNR"] is None
    assert scores["truth"]["fused"]["SAM"] < 1e-4
    assert scores["consistency"]["fused"]["ERGAS"] < 0.5 < scores["consistency"]["interpolated"]["ERGAS"]
    assert scores["detail"]["fused"]["SCC"] > 0.6 > scores["detail"]["interpolated"]["SCC"]


def test_consistency_leaves_only_sensor_noise_of_the_truth(folder: Path):
    report = measure(*scene(folder), str(folder / "truth.tif"))
    assert report.truth is None
    ms = pixels(folder / "ms.tif")
    assert report.consistency["fused"].rmse == pytest.approx(
        np.sqrt(ms.mean(axis=(1, 2)) / 45 + 1.44), rel=0.1
    )


def test_a_pan_grid_that_begins_inside_an_ms_pixel_is_compared_in_its_place(folder: Path, tmp_path: Path):
    window = rasterio.windows.Window(10, 6, 600, 560)
    for name in ("pan.tif", "truth.tif"):
        with rasterio.open(folder / name) as whole:
            profile = whole.profile | {
                "width": 600,
                "height": 560,
                "transform": whole.window_transform(window),
            }
            with rasterio.open(tmp_path / name, "w", **profile) as part:
                part.write(whole.read(window=window))
    report = measure(str(tmp_path / "pan.tif"), str(folder / "ms.tif"), str(tmp_path / "truth.tif"))
    whole = measure(*scene(folder), str(folder / "truth.tif"))
    assert report.consistency["fused"].rmse == pytest.approx(whole.consistency["fused"].rmse, rel=0.05)
    assert report.consistency["interpolated"].rmse == pytest.approx(
        whole.consistency["interpolated"].rmse, rel=0.1
    )


def shifted_scene(folder: Path, to: Path, tag: str) -> tuple[str, str, str]:
    """PAN, MS whose georeferencing puts it 3 rows and -2 columns of PAN off, and the truth with a tag."""
    with rasterio.open(folder / "ms.tif") as ms:
        transform = ms.transform @ rasterio.Affine.translation(-2 / 4, 3 / 4)
        with rasterio.open(to / "ms.tif", "w", **ms.profile | {"transform": transform}) as moved:
            moved.write(ms.read())
    with (
        rasterio.open(folder / "truth.tif") as truth,
        rasterio.open(to / "product.tif", "w", **truth.profile) as product,
    ):
        product.write(truth.read())
        if tag:
            product.update_tags(BNNPAN_SHIFT=tag)
    return str(folder / "pan.tif"), str(to / "ms.tif"), str(to / "product.tif")


def test_a_product_is_compared_with_ms_where_it_was_found_to_lie(folder: Path, tmp_path: Path):
    placed = measure(*scene(folder), str(folder / "truth.tif")).consistency
    told = measure(*shifted_scene(folder, tmp_path, "row=3.0 col=-2.0 (applied)")).consistency
    untold = measure(*shifted_scene(folder, tmp_path, "")).consistency
    assert told["fused"].rmse == pytest.approx(placed["fused"].rmse, rel=0.05)
    assert told["interpolated"].rmse == pytest.approx(placed["interpolated"].rmse, rel=0.1)
    assert untold["fused"].ergas > 3 * told["fused"].ergas


@pytest.mark.parametrize(
    "tag", ["3 rows", "row=x col=0 (applied)", "row=nan col=0 (given)", "row=9 col=0 (given)"]
)
def test_a_shift_that_no_product_has_is_refused(folder: Path, tmp_path: Path, tag: str):
    with pytest.raises(SceneError, match="BNNPAN_SHIFT"):
        measure(*shifted_scene(folder, tmp_path, tag))


def test_interpolation_is_measured_against_the_truth(folder: Path):
    report = measure(*scene(folder), str(folder / "noisy.tif"), str(folder / "truth.tif"))
    assert 1 < report.truth["interpolated"].ergas < 8


def test_rasters_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path):
    pan, ms = scene(folder)
    with pytest.raises(SceneError, match="4 of 640 x 640"):
        measure(pan, ms, ms)
    with pytest.raises(SceneError, match="absent"):
        measure(pan, ms, str(tmp_path / "absent.tif"))
    (text := tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(SceneError, match="not a raster"):
        measure(pan, ms, str(text))


def test_a_product_without_any_data_is_refused(folder: Path, tmp_path: Path):
    with rasterio.open(folder / "truth.tif") as truth:
        profile = truth.profile | {"nodata": 0}
    with rasterio.open(tmp_path / "empty.tif", "w", **profile):
        pass
    with pytest.raises(SceneError, match="no pixel has data"):
        measure(*scene(folder), str(tmp_path / "empty.tif"))
