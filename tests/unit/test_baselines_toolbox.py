"""Methods and metrics against what DLPan-Toolbox itself gives on real pairs (`reference_metrics.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from bnnpan.baselines import BASELINES, fuse
from bnnpan.data.wald import degrade
from bnnpan.metrics import full_resolution, reduced_resolution

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

# Where MTF-GLP-HPM and -HPM-R divide by dark pixels, rounding grows to 3e-10; elsewhere it stays below 1e-10.
TOLERANCE = 1e-8

QUICK = ["sn6_rotterdam_2", "sn6_rotterdam_3", "worldview3_rr"]
OTHERS = ["ikonos_1", "geoeye1_1", "vhr_0p5m_1", "sn6_rotterdam_1", "worldview2_1"]


def slow(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def read(folder: Path, name: str, window: list[int]) -> NDArray[np.float64]:
    row, column, height, width = window
    with rasterio.open(folder / f"{name}.tif") as dataset:
        return dataset.read()[:, row : row + height, column : column + width].astype(float)


def reference(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "reference_metrics.json").read_text())[name]


def reduced_inputs(folder: Path, name: str, crop: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Ground truth, PAN and MS over the ground on which the toolbox was run."""
    windows = crop["reduced"]
    if windows["given_ground_truth"]:
        return [read(folder, f"{name}_{part}", windows[part]) for part in ("gt", "pan", "ms")]
    gt = read(folder, f"{name}_ms", windows["ms_as_gt"])
    pan = read(folder, f"{name}_pan", windows["pan_before_decimation"])
    return [gt, *degrade(pan, gt, crop["toolbox_sensor"])]


@pytest.mark.parametrize("name", [*QUICK, *slow(OTHERS)])
def test_reduced_resolution_agrees(shared_data: Path, name: str) -> None:
    golden = reference(shared_data, name)
    crop = golden["crop"]
    gt, pan, ms = reduced_inputs(shared_data, name, crop)
    for method in BASELINES:
        fused = fuse(method, pan, ms, crop["toolbox_sensor"])
        found = reduced_resolution(gt, fused, ratio=4, bit_depth=crop["bits"])
        expected = golden["reduced"][method]
        assert {key: found[key] for key in expected} == pytest.approx(expected, rel=TOLERANCE), method


@pytest.mark.parametrize("name", ["sn6_rotterdam_3", *slow([*OTHERS, "sn6_rotterdam_2"])])
def test_full_resolution_agrees(shared_data: Path, name: str) -> None:
    golden = reference(shared_data, name)
    crop = golden["crop"]
    ms, pan = (read(shared_data, f"{name}_{part}", crop["full"][part]) for part in ("ms", "pan"))
    for method in BASELINES:
        fused = fuse(method, pan, ms, crop["toolbox_sensor"])
        found = full_resolution(pan, ms, fused, crop["toolbox_sensor"])
        expected = golden["full"][method]
        assert [found["D_lambda"], found["D_s"], found["HQNR"]] == pytest.approx(
            [expected["D_lambda_K"], expected["D_s"], expected["HQNR"]], rel=TOLERANCE
        ), method
