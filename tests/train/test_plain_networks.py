"""PNN and FusionNet trained, resumed and evaluated by the commands that serve our network, never exported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from tiny_training import TINY, NoisePatches, losses, same, tensors, write_imagery, write_items

from bnnpan.checkpoint import load_model, save_model
from bnnpan.config import Experiment, StageConfig
from bnnpan.model import ModelConfig, make_network
from bnnpan.model.config import Architecture
from bnnpan.training import train
from bnnpan_runtime.cli import main
from bnnpan_runtime.contract import Units
from bnnpan_runtime.errors import ConfigError

PLAIN: tuple[Architecture, ...] = ("pnn", "fusionnet")


def plain(architecture: Architecture, units: Units = "bit_depth", **training: object) -> Experiment:
    third_only = replace(TINY.training, stage_one=StageConfig(0), stage_two=StageConfig(0))
    return Experiment(
        ModelConfig(architecture, units=units),
        training=replace(third_only, **training),  # type: ignore[arg-type]
    )


def untrained(folder: Path, experiment: Experiment) -> Path:
    folder.mkdir()
    torch.manual_seed(0)
    save_model(folder / "model.safetensors", make_network(experiment.model), experiment, {"data": []})
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def toml(path: Path, architecture: Architecture, lines: Sequence[str] = ()) -> Path:
    text = f"""
[model]
architecture = "{architecture}"
units = "scene"
[data]
patch = 32
[training]
stage_one = {{ steps = 0 }}
stage_two = {{ steps = 0 }}
stage_three = {{ steps = 3, batch = 2, learning_rate = 1e-3 }}
"""
    path.write_text(text + "\n".join(lines))
    return path


@pytest.mark.parametrize("architecture", PLAIN)
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, architecture: Architecture
) -> None:
    experiment = plain(architecture, average=0.9)
    train(experiment, NoisePatches(), tmp_path / "whole", provenance={})
    train(experiment, NoisePatches(), tmp_path / "parts", provenance={}, stop_after=4)
    train(experiment, NoisePatches(), tmp_path / "parts", provenance={}, resume=True)
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    assert [stage for stage, _, _ in losses(tmp_path / "whole")] == ["III"]


@pytest.mark.parametrize("architecture", PLAIN)
def test_training_brings_it_closer_to_the_truth(tmp_path: Path, architecture: Architecture) -> None:
    pan, lms, truth = map(torch.from_numpy, NoisePatches().sample(8)[:3])

    def distance(stop_after: int) -> float:
        run = tmp_path / str(stop_after)
        experiment = plain(architecture, stage_three=StageConfig(60, batch=2, learning_rate=1e-3))
        model = train(experiment, NoisePatches(), run, provenance={}, stop_after=stop_after)
        with torch.no_grad():
            return float((model(pan, lms, model.predicted_prior(pan, lms)) - truth).abs().mean())

    assert distance(60) < 0.9 * distance(0)


def test_commands_train_and_evaluate_it_next_to_ours(tmp_path: Path) -> None:
    items = [write_imagery(tmp_path, "one"), write_imagery(tmp_path, "two") | {"split": "val"}]
    data = write_items(tmp_path, items)
    result = run(
        "train", "--config", toml(tmp_path / "pnn.toml", "pnn"), "--data", data, "--out", tmp_path / "pnn"
    )
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "pnn")[2]["validation"]["relative_ergas"] > 0
    runs = [tmp_path / "pnn", untrained(tmp_path / "ours", TINY)]
    written = ("--json", tmp_path / "scores.json", "--html", tmp_path / "page.html")
    result = run("evaluate", *runs, "--data", data, *written)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "scores.json").read_text())
    assert list(found["mean"]) == ["pnn", "ours", "EXP"]
    assert [found["networks"][name]["architecture"] for name in ("pnn", "ours")] == ["pnn", "bnnpan"]
    assert [found["networks"][name]["channels"] for name in ("pnn", "ours")] == [None, 4]
    assert found["networks"]["pnn"]["parameters"] == {"full": 80_420, "packed": 80_420}
    assert "<td>channels</td><td>-</td><td>4</td>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("units", ["bit_depth", "scene"])
def test_one_network_is_called_by_its_architecture(tmp_path: Path, units: Units) -> None:
    data = write_items(tmp_path, [write_imagery(tmp_path, "one") | {"split": "val"}])
    folder = untrained(tmp_path / "run", plain("fusionnet", units))
    result = run("evaluate", folder, "--data", data, "--json", tmp_path / "scores.json")
    assert result.exit_code == 0, result.output
    assert list(json.loads((tmp_path / "scores.json").read_text())["mean"]) == ["fusionnet", "EXP"]


def test_export_refuses_it_in_one_line(tmp_path: Path) -> None:
    result = run("export", untrained(tmp_path / "run", plain("pnn")), "--out", tmp_path / "out.bnnpan")
    assert result.exit_code == 9 and not (tmp_path / "out.bnnpan").exists()
    assert "a network with architecture = pnn cannot be exported" in result.output


def test_steps_of_stages_for_a_prior_are_refused_in_one_line(tmp_path: Path) -> None:
    config = toml(tmp_path / "pnn.toml", "pnn")
    config.write_text(config.read_text().replace("stage_two = { steps = 0 }", "stage_two = { steps = 2 }"))
    result = run("train", "--config", config, "--data", tmp_path, "--out", tmp_path / "run")
    assert result.exit_code == 9 and "'pnn' has no prior" in result.output


def test_it_may_teach_but_not_start_another_network(tmp_path: Path) -> None:
    run_folder = str(untrained(tmp_path / "fusionnet", plain("fusionnet")))
    student = replace(TINY, training=replace(TINY.training, teacher=run_folder, teacher_weight=1.0))
    train(student, NoisePatches(), tmp_path / "student", provenance={}, stop_after=1)
    started = replace(TINY, training=replace(TINY.training, initial=run_folder))
    with pytest.raises(ConfigError, match=r"training\.initial: .* model\.architecture = fusionnet"):
        train(started, NoisePatches(), tmp_path / "started", provenance={})


def test_teacher_in_other_units_is_refused(tmp_path: Path) -> None:
    """Its lesson would be drawn from images it cannot read."""
    run_folder = str(untrained(tmp_path / "pnn", plain("pnn", "scene")))
    experiment = replace(TINY, training=replace(TINY.training, teacher=run_folder, teacher_weight=1.0))
    with pytest.raises(ConfigError, match=r"model\.units = scene, this experiment bit_depth"):
        train(experiment, NoisePatches(), tmp_path / "student", provenance={})
