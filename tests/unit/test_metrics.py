from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnnpan.baselines import BASELINES, fuse
from bnnpan.data.wald import degrade
from bnnpan.metrics import reduced_resolution
from bnnpan_runtime.errors import ConfigError, SceneError

GOLDEN_PAIRS = [
    "ikonos_1",
    "geoeye1_1",
    "vhr_0p5m_1",
    "sn6_rotterdam_1",
    "sn6_rotterdam_2",
    "sn6_rotterdam_3",
    "worldview2_1",
    "worldview3_rr",
]
TOOLBOX_NAMES = {"EXP": "EXP", "Brovey": "BT", "GSA": "GSA"}


def read(folder: Path, name: str, window: list[int]) -> NDArray[np.float64]:
    row, column, height, width = window
    with rasterio.open(folder / f"{name}.tif") as dataset:
        return dataset.read()[:, row : row + height, column : column + width].astype(float)


def reduced_inputs(folder: Path, name: str, crop: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Ground truth, PAN and MS over the ground on which the toolbox was run."""
    windows = crop["reduced"]
    if windows["given_ground_truth"]:
        return [read(folder, f"{name}_{part}", windows[part]) for part in ("gt", "pan", "ms")]
    gt = read(folder, f"{name}_ms", windows["ms_as_gt"])
    pan = read(folder, f"{name}_pan", windows["pan_before_decimation"])
    return [gt, *degrade(pan, gt, crop["toolbox_sensor"])]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", GOLDEN_PAIRS)
def test_baselines_and_metrics_agree_with_the_toolbox(shared_data: Path, name: str) -> None:
    reference = json.loads((shared_data / "reference_metrics.json").read_text())[name]
    crop = reference["crop"]
    gt, pan, ms = reduced_inputs(shared_data, name, crop)
    for baseline, toolbox_name in TOOLBOX_NAMES.items():
        fused = fuse(baseline, pan, ms, crop["toolbox_sensor"])
        found = reduced_resolution(gt, fused, ratio=4, bit_depth=crop["bits"])
        expected = {metric: reference["reduced"][toolbox_name][metric] for metric in found}
        assert found == pytest.approx(expected, rel=0, abs=1e-10), baseline


def scene(bands: int = 4, height: int = 90, width: int = 101, seed: int = 0) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.round(random.uniform(100, 1500, (bands, height, width)))


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_equal_images_are_perfect(bands: int) -> None:
    gt = scene(bands)
    found = reduced_resolution(gt, gt)
    assert found["SAM"] == pytest.approx(0, abs=1e-5)
    assert found["ERGAS"] == 0
    assert found["Q2n"] == pytest.approx(1, abs=1e-12)
    assert found["SCC"] == pytest.approx(1, abs=1e-12)
    assert found["PSNR"] == np.inf


def test_values_that_can_be_worked_out_by_hand() -> None:
    gt = np.full((2, 80, 80), 100.0)
    fused = np.stack([np.full((80, 80), 110.0), np.full((80, 80), 90.0)])
    with np.errstate(invalid="ignore"):  # flat images have no edges, hence no SCC
        found = reduced_resolution(gt, fused, ratio=4, bit_depth=11)
    assert found["ERGAS"] == pytest.approx(25 * 0.1)
    assert found["PSNR"] == pytest.approx(20 * np.log10(2047 / 10))
    assert found["SAM"] == pytest.approx(np.degrees(np.arctan(1.1 / 0.9) - np.pi / 4))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 5.0), st.integers(0, 5))
def test_brightness_does_not_change_angle_or_structure(factor: float, seed: int) -> None:
    gt, fused = scene(seed=seed), scene(seed=seed + 100)
    one, other = reduced_resolution(gt, fused), reduced_resolution(gt, fused * factor)
    assert other["SAM"] == pytest.approx(one["SAM"])
    assert other["SCC"] == pytest.approx(one["SCC"])


def test_invalid_pixels_and_borders_do_not_count() -> None:
    gt, fused = scene(height=200, width=200), scene(height=200, width=200, seed=1)
    valid = np.ones((200, 200), bool)
    valid[:60] = False
    spoilt = fused.copy()
    spoilt[:, :59] = 1e6  # the Sobel filter of SCC reaches one pixel across the mask
    spoilt[:, -21:] = 1e6
    assert reduced_resolution(gt, spoilt, valid=valid) == reduced_resolution(gt, fused, valid=valid)


def test_q2n_without_a_whole_valid_block_is_not_a_number() -> None:
    gt = scene()
    valid = np.ones(gt.shape[1:], bool)
    valid[::8] = False
    assert np.isnan(reduced_resolution(gt, gt, valid=valid)["Q2n"])


def test_misuse_is_refused_in_one_line() -> None:
    with pytest.raises(SceneError, match="differ"):
        reduced_resolution(scene(4), scene(3))
    with pytest.raises(SceneError, match="larger scene"):
        reduced_resolution(scene(height=43), scene(height=43))
    with pytest.raises(ConfigError, match="choose from EXP"):
        fuse("PCA", np.zeros((1, 64, 64)), np.zeros((4, 16, 16)), "none")
    with pytest.raises(SceneError, match="is not 4 times"):
        fuse("EXP", np.zeros((1, 60, 64)), np.zeros((4, 16, 16)), "none")


@pytest.mark.parametrize("name", list(BASELINES))
@pytest.mark.parametrize("phase", ["toolbox", "centred"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_baselines_keep_size_and_mean(name: str, phase: str, ratio: int) -> None:
    random = np.random.default_rng(3)
    ms = random.uniform(200, 900, (4, 24, 30))
    pan = np.kron(ms.mean(axis=0, keepdims=True), np.ones((1, ratio, ratio)))
    pan += random.normal(0, 5, pan.shape)
    fused = fuse(name, pan, ms, "none", ratio, phase=phase)
    assert fused.shape == (4, 24 * ratio, 30 * ratio)
    np.testing.assert_allclose(fused.mean(axis=(1, 2)), ms.mean(axis=(1, 2)), rtol=0.02)


def test_nodata_does_not_enter_scene_statistics() -> None:
    random = np.random.default_rng(4)
    ms = random.uniform(200, 900, (4, 30, 30))
    pan = np.kron(ms.mean(axis=0, keepdims=True), np.ones((1, 4, 4)))
    valid = np.ones((120, 120), bool)
    valid[:60] = False
    spoilt = pan.copy()
    spoilt[:, :20] = 5000
    inside = np.s_[:, 60:]
    for name in BASELINES:
        clean, other = (fuse(name, image, ms, "none", valid=valid) for image in (pan, spoilt))
        np.testing.assert_allclose(other[inside], clean[inside], rtol=1e-9)
