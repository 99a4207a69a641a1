"""Training runs end to end, and a stopped run continues to the bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_training
import torch
from tiny_training import TINY, NoisePatches, losses, same, tensors

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, load_model
from bnnpan.config import Experiment, StageConfig, TrainingConfig, load_experiment, parse_experiment
from bnnpan.data.batch import Arrays
from bnnpan.model import ModelConfig
from bnnpan.training import train
from bnnpan_runtime.errors import ConfigError, OutputError

EVERYTHING = replace(
    TINY.training,
    optimizer="adamw",
    weight_decay=0.01,
    schedule="step",
    average=0.9,
    sam_weight=0.1,
    q_weight=0.1,
    deterministic=True,
)
"""All that a step may do; what it keeps must survive a stop."""


@pytest.mark.parametrize("training", [TINY.training, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("stops", [[7], [12], [3, 13, 22]])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, stops: list[int], training: TrainingConfig
):
    experiment = replace(TINY, training=training)
    train(experiment, NoisePatches(), tmp_path / "whole", provenance={})
    parts, done = tmp_path / "parts", 0
    for stop in stops:
        train(experiment, NoisePatches(), parts, provenance={}, resume=done > 0, stop_after=stop - done)
        done = stop
    train(experiment, NoisePatches(), parts, provenance={}, resume=True)
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


class InterruptedPatches(NoisePatches):
    """Ctrl-C while a batch is drawn."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def sample(self, batch: int) -> Arrays:
        if self.position == self.at:
            raise KeyboardInterrupt
        return super().sample(batch)


@pytest.mark.parametrize(
    ("at", "checkpoint_every"), [(14, 100), (14, 5), (22, 5)], ids=["no checkpoint", "stage II", "stage III"]
)
def test_run_interrupted_between_checkpoints_ends_as_if_it_had_not_been(
    tmp_path: Path, at: int, checkpoint_every: int
):
    experiment = replace(TINY, training=replace(TINY.training, checkpoint_every=checkpoint_every))
    train(experiment, NoisePatches(), tmp_path / "whole", provenance={})
    with pytest.raises(KeyboardInterrupt):
        train(experiment, InterruptedPatches(at), tmp_path / "parts", provenance={})
    assert losses(tmp_path / "parts")
    train(experiment, NoisePatches(), tmp_path / "parts", provenance={}, resume=True)
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_each_stage_moves_only_its_own_parameters(tmp_path: Path):
    def after(steps: int) -> dict[str, torch.Tensor]:
        run = tmp_path / str(steps)
        model = train(TINY, NoisePatches(), run, provenance={}, stop_after=steps)
        return {k: v.clone() for k, v in model.state_dict().items()}

    one, two, three = after(12), after(20), after(26)

    def moved(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[str]:
        return {name.split(".")[0] for name in a if not torch.equal(a[name], b[name])}

    assert moved(one, two) == {"condition_encoder", "diffusion"}
    assert moved(two, three) == {"condition_encoder", "diffusion", "head", "blocks", "tail"}


def test_killed_run_ends_as_if_it_had_not_been(tmp_path: Path):
    """SIGKILL while checkpoints are written every other step: the file on disk is always a whole one."""
    training = replace(EVERYTHING, checkpoint_every=2, stage_one=StageConfig(100, batch=2))
    experiment = replace(TINY, training=training)
    config, run = tmp_path / "experiment.json", tmp_path / "killed"
    config.write_text(json.dumps(experiment.to_json()))
    process = subprocess.Popen([sys.executable, tiny_training.__file__, str(config), str(run)])
    deadline = time.monotonic() + 120
    while _step(run) < 6 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 6 <= _step(run) < 100
    train(experiment, NoisePatches(), run, provenance={}, resume=True)
    train(experiment, NoisePatches(), tmp_path / "whole", provenance={})
    assert same(tensors(tmp_path / "whole"), tensors(run))
    assert losses(tmp_path / "whole") == losses(run)


def _step(run: Path) -> int:
    path = run / RESUME_NAME
    return checkpoint.read(path).facts["progress"]["step"] if path.exists() else 0


def test_unfinished_run_is_not_taken_for_a_model(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, stop_after=3)
    with pytest.raises(ConfigError, match="unfinished run"):
        load_model(tmp_path / "run" / RESUME_NAME)


def test_unfinished_run_is_not_overwritten_without_resume(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, stop_after=3)
    with pytest.raises(ConfigError, match="--resume"):
        train(TINY, NoisePatches(), tmp_path / "run", provenance={})


def test_resume_refuses_another_configuration(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, stop_after=3)
    other = Experiment(model=ModelConfig(channels=8, blocks=1, latent=4), training=TINY.training)
    with pytest.raises(ConfigError, match="another configuration"):
        train(other, NoisePatches(), tmp_path / "run", provenance={}, resume=True)


def test_resume_refuses_other_training_data(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={"data_sha256": "a"}, stop_after=3)
    with pytest.raises(ConfigError, match="data_sha256 is not what this run was started with"):
        train(TINY, NoisePatches(), tmp_path / "run", provenance={"data_sha256": "b"}, resume=True)


def test_resume_file_of_an_earlier_version_is_refused(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={}, stop_after=3)
    path = tmp_path / "run" / RESUME_NAME
    saved = checkpoint.read(path)
    del saved.facts["provenance_so_far"]
    checkpoint.write(path, saved)
    with pytest.raises(ConfigError, match="another version"):
        train(TINY, NoisePatches(), tmp_path / "run", provenance={}, resume=True)


def test_same_seed_same_weights_other_seed_other_weights(tmp_path: Path):
    other = replace(TINY, training=replace(TINY.training, seed=1))
    for name, experiment in (("a", TINY), ("b", TINY), ("c", other)):
        train(experiment, NoisePatches(), tmp_path / name, provenance={})
    a, b, c = (tensors(tmp_path / name)["head.weight"] for name in "abc")
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_run_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        train(TINY, NoisePatches(), tmp_path / "file" / "run", provenance={})


def test_checkpoint_that_cannot_be_written_is_one_clear_line(tmp_path: Path):
    with pytest.raises(OutputError, match=r"cannot write .*gone"):
        checkpoint.write(tmp_path / "gone" / RESUME_NAME, checkpoint.Checkpoint({}, {}))


def test_damaged_checkpoint_is_one_clear_line(tmp_path: Path):
    train(TINY, NoisePatches(), tmp_path / "run", provenance={})
    path = tmp_path / "run" / MODEL_NAME
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ConfigError, match="damaged"):
        load_model(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nchanels = 3", "unknown key 'chanels'"),
        ("[model]\nchannels = 'x'", "channels: 'x' is not of type int"),
        ("[model]\nprior_predicts = 'x'", "is not one of 'noise', 'latent'"),
        ("[model]\nbands = 3", "data.bands names 4"),
        ("[training.stage_one]\nbatch = 3", "steps"),
        ("model = 3", "expected a table"),
        ("[data]\nbands = 'bgrn'", "'bgrn' is not a list"),
        ("[data]\nweights = 3", "3 is not a table"),
        ("[data]\nweights = { l7 = -1 }", "weights.l7: -1.0 must not be negative"),
        ("[data]\npatch = 63", "data.patch is 63, must be even"),
        ("[training]\ncheckpoint_every = 0", "checkpoint_every must not be 0"),
        ("[training]\nclip_norm = 0", "clip_norm must not be 0"),
        ("[model]\nchannels = -8", "channels: -8 must not be negative"),
        ("[training]\naverage = 1", "average is 1.0, must be below 1"),
        ("[training]\nstep_factor = 0", "step_factor must not be 0"),
        ("[training]\nteacher = 'run'", "teacher and training.teacher_weight need each other"),
        ("[training]\nteacher_weight = 1", "teacher and training.teacher_weight need each other"),
        ("[model]\nbinarizer = 'bnn'\nnorm = false", "norm is off"),
        ("[model", "not valid TOML"),
    ],
)
def test_wrong_configuration_names_file_and_key(tmp_path: Path, text: str, message: str):
    path = tmp_path / "experiment.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_experiment(path)
    assert str(path) in str(caught.value)


def test_a_stage_may_be_left_out(tmp_path: Path):
    none = StageConfig(0)
    experiment = replace(TINY, training=replace(TINY.training, stage_two=none, stage_three=none))
    assert parse_experiment(experiment.to_json(), "json") == experiment
    train(experiment, NoisePatches(), tmp_path / "run", provenance={})
    assert {stage for stage, _, _ in losses(tmp_path / "run")} == {"I"}


def test_experiment_survives_json():
    value = json.loads(json.dumps(TINY.to_json()))
    assert parse_experiment(value, "json") == TINY
