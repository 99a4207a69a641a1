"""Every checked-in experiment can be read, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import write_imagery, write_items

from bnnpan.config import StageConfig, load_experiment
from bnnpan.data.source import open_data
from bnnpan.training import train

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


def test_there_are_experiments():
    assert {path.stem for path in CONFIGS} >= {"bgrn-x4", "bgrn-x4-lite", "l7-x2", "wv3-x4"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_experiment_takes_two_steps_of_each_stage(path: Path, tmp_path: Path):
    experiment = load_experiment(path)
    model, data = experiment.model, experiment.data
    two = StageConfig(2, batch=2)
    training = replace(
        experiment.training,
        stage_one=two,
        stage_two=two,
        stage_three=two,
        compile=False,  # compiling takes minutes
        tensorboard=False,
    )
    small = replace(experiment, training=training, data=replace(data, patch=32))
    opened = open_data(
        write_items(tmp_path, [write_imagery(tmp_path, "l7_0", data.bands, model.ratio)]), small
    )
    before = train(small, opened.source, tmp_path / "none", provenance={}, stop_after=0).head.weight.clone()
    after = train(small, opened.source, tmp_path / "run", provenance={})
    assert not torch.equal(before, after.head.weight)
    assert all(torch.isfinite(parameter).all() for parameter in after.parameters())


@pytest.mark.parametrize("path", sorted((CONFIGS[0].parent / "trials").glob("*.toml")), ids=lambda p: p.name)
def test_trial_leaves_a_sensor_out(path: Path):
    experiment = load_experiment(path)
    assert experiment.data.leave_out == ("sn6",)
    assert not set(experiment.data.leave_out) & set(experiment.data.weights)
