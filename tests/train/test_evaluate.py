"""`bnnpan evaluate` with networks: fused as on board, next to each other, told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from tiny_training import BGRN, TINY, write_imagery, write_items

from bnnpan.checkpoint import save_model
from bnnpan.config import DataConfig, Experiment
from bnnpan.data.full_pairs import load_full_pairs
from bnnpan.data.pairs import load_pairs
from bnnpan.evaluate import evaluate, fuse_pair
from bnnpan.evaluate.network import fuse_frozen
from bnnpan.metrics import full_resolution
from bnnpan.model import BNNPan
from bnnpan_runtime.cli import main
from bnnpan_runtime.errors import SceneError


def network(experiment: Experiment) -> BNNPan:
    torch.manual_seed(0)
    return BNNPan(experiment.model).eval()


def write_run(folder: Path, experiment: Experiment = TINY) -> Path:
    folder.mkdir(parents=True)
    save_model(folder / "model.safetensors", network(experiment), experiment, {"data": ["elsewhere", "two"]})
    return folder


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_items(
        tmp_path, [write_imagery(tmp_path, name) | {"split": "val"} for name in ("one", "two")]
    )


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def scores(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    path = tmp_path / "scores.json"
    result = run(*arguments, "--json", path)
    assert result.exit_code == 0, result.output
    return dict(json.loads(path.read_text()))


def finite(values: dict[str, Any]) -> dict[str, float]:
    """The sliding Q of so small a pair is NaN, which JSON lacks."""
    return {name: value for name, value in values.items() if value is not None and isfinite(value)}


def test_numbers_are_those_that_training_validates_by(manifest: Path, tmp_path: Path) -> None:
    found = scores(tmp_path, write_run(tmp_path / "run"), "--data", manifest)
    expected = evaluate(network(TINY), load_pairs(manifest, "val"))
    for name, methods in expected["pairs"].items():
        for method, values in methods.items():
            assert finite(found["pairs"][name][method]) == pytest.approx(finite(values), rel=1e-12)
    assert found["protocol"] == "reduced"
    assert finite(found["mean"]["bnnpan"]) == pytest.approx(finite(expected["mean"]["bnnpan"]), rel=1e-12)
    assert {facts["reduced"]["lms_phase"] for facts in found["scenes"].values()} == {"centred"}


@pytest.mark.parametrize("phase", ["centred", "toolbox"])
def test_full_resolution_is_fused_and_judged_in_the_phase_asked_for(
    manifest: Path, tmp_path: Path, phase: str
) -> None:
    arguments = ("--data", manifest, "--resolution", "full", "--pairs", "one", "--phase", phase)
    found = scores(tmp_path, write_run(tmp_path / "run"), *arguments)
    (pair,) = load_full_pairs(manifest, "val", phase=phase, names=["one"])
    image = fuse_frozen(network(TINY), pair)
    expected = full_resolution(pair.pan, pair.ms, image, pair.sensor, phase=phase)
    assert found["pairs"]["one"]["bnnpan"] == pytest.approx(expected, rel=1e-12)


def test_runs_stand_side_by_side_under_their_names(manifest: Path, tmp_path: Path) -> None:
    scene = replace(TINY, model=replace(TINY.model, units="scene"))
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", scene) / "model.safetensors"]
    html = tmp_path / "page.html"
    found = scores(tmp_path, *runs, "--data", manifest, "--baselines", "GS", "--html", html)
    assert list(found["mean"]) == ["a", "b", "EXP", "GS"]
    assert [found["networks"][name]["units"] for name in "ab"] == ["bit_depth", "scene"]
    assert found["networks"]["a"]["steps_of_stages"] == [12, 8, 6]
    assert found["mean"]["a"]["SAM"] != found["mean"]["b"]["SAM"]
    text = html.read_text()
    assert "<h2>Networks</h2>" in text and found["networks"]["a"]["sha256"] in text
    assert "a was trained on two" in text


def test_runs_of_one_name_are_told_apart_by_path(manifest: Path, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / folder / "run") for folder in ("a", "b")]
    assert {str(path) for path in runs} < scores(tmp_path, *runs, "--data", manifest)["mean"].keys()


def test_a_run_that_is_not_there_is_one_line(manifest: Path, tmp_path: Path) -> None:
    result = run(tmp_path / "absent", "--data", manifest)
    assert result.exit_code == 9 and "no such checkpoint" in result.output


def test_runs_of_different_bands_are_refused(manifest: Path, tmp_path: Path) -> None:
    three = Experiment(replace(TINY.model, bands=3), DataConfig(BGRN[:3]), TINY.training)
    result = run(write_run(tmp_path / "a"), write_run(tmp_path / "b", three), "--data", manifest)
    assert result.exit_code == 9
    assert "takes blue, green, red at ratio 4: evaluate them separately" in result.output


def test_bands_that_no_pair_has_are_named(manifest: Path, tmp_path: Path) -> None:
    thermal = Experiment(replace(TINY.model, bands=1), DataConfig(("thermal",)), TINY.training)
    result = run(write_run(tmp_path / "a", thermal), "--data", manifest)
    assert result.exit_code == 9
    assert "there are no pairs at reduced resolution" in result.output and "thermal" in result.output


def test_a_pancollection_file_of_other_bands_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test_wv3.h5"
    with h5py.File(path, "w") as file:
        for name, shape in {
            "ms": (8, 16, 16),
            "lms": (8, 64, 64),
            "gt": (8, 64, 64),
            "pan": (1, 64, 64),
        }.items():
            file[name] = np.ones((2, *shape))
    result = run(write_run(tmp_path / "a"), "--data", path)
    assert result.exit_code == 9 and "has 8 bands at ratio 4, the network takes 4" in result.output


def test_phases_that_differ_must_be_settled(manifest: Path, tmp_path: Path) -> None:
    toolbox = replace(TINY, data=DataConfig(phase="toolbox"))
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", toolbox)]
    assert "say --phase" in run(*runs, "--data", manifest).output
    assert run(*runs, "--data", manifest, "--phase", "toolbox").exit_code == 0


@pytest.mark.parametrize("units", ["bit_depth", "scene"])
def test_result_is_in_dn_whatever_the_units(manifest: Path, units: Any) -> None:
    pair = load_pairs(manifest, "val")[0]
    model = network(replace(TINY, model=replace(TINY.model, units=units)))
    torch.nn.init.zeros_(model.tail.weight)
    torch.nn.init.zeros_(model.tail.bias)  # what is left is the LMS, with its share of detail in scene units
    fused = fuse_pair(model, pair)
    assert np.corrcoef(fused.ravel(), pair.lms.ravel())[0, 1] > 0.6
    np.testing.assert_allclose(fused.mean(axis=(1, 2)), pair.lms.mean(axis=(1, 2)), rtol=0.02)
    if units == "bit_depth":
        np.testing.assert_allclose(fused, pair.lms, rtol=1e-5)


def test_scene_smaller_than_a_calibration_patch_is_explained(manifest: Path) -> None:
    pair = load_pairs(manifest, "val")[0]
    small = replace(
        pair, pan=pair.pan[:, :60], lms=pair.lms[:, :60], gt=pair.gt[:, :60], valid=pair.valid[:60]
    )
    with pytest.raises(SceneError, match="one: 60 x 72 pixels, less than a calibration patch of 64"):
        fuse_pair(network(TINY), small)


def test_scene_units_need_data(manifest: Path) -> None:
    pair = load_pairs(manifest, "val")[0]
    model = network(replace(TINY, model=replace(TINY.model, units="scene")))
    with pytest.raises(SceneError, match="no calibration patch holds data"):
        fuse_pair(model, replace(pair, valid=np.zeros_like(pair.valid)))
