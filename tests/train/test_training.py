"""Training runs end to end, and a stopped run continues to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, load_model
from bnnpan.config import Experiment, StageConfig, TrainingConfig, load_experiment, parse_experiment
from bnnpan.model import ModelConfig
from bnnpan.training import train
from bnnpan.training.loop import rate_share
from bnnpan_runtime.errors import ConfigError, OutputError

TINY = Experiment(
    model=ModelConfig(channels=4, blocks=1, latent=4),
    training=TrainingConfig(
        stage_one=StageConfig(12, batch=2),
        stage_two=StageConfig(8, batch=2),
        stage_three=StageConfig(6, batch=2),
        checkpoint_every=5,
    ),
)


class NoisePatches:
    """A patch source that needs no data: blurred noise, its position a counter."""

    def __init__(self) -> None:
        self.position = 0

    def sample(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng(self.position)
        self.position += 1
        truth = random.random((batch, 4, 16, 16), dtype=np.float32)
        lms = (truth + np.roll(truth, 1, 2) + np.roll(truth, 1, 3)) / 3
        return truth.mean(1, keepdims=True), lms, truth

    def state(self) -> Any:
        return self.position

    def set_state(self, state: Any) -> None:
        self.position = state


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(run)[0].state_dict())


def losses(run: Path) -> list[tuple[str, int, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["stage"], line["step"], line["loss"]) for line in lines]


@pytest.mark.parametrize("stops", [[7], [12], [3, 13, 22]])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, stops: list[int]):
    train(TINY, NoisePatches(), tmp_path / "whole", provenance={})
    done = 0
    for stop in stops:
        train(
            TINY, NoisePatches(), tmp_path / "parts", provenance={}, resume=done > 0, stop_after=stop - done
        )
        done = stop
    train(TINY, NoisePatches(), tmp_path / "parts", provenance={}, resume=True)
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


class InterruptedPatches(NoisePatches):
    """Ctrl-C while a batch is drawn."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def sample(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
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


def test_checkpoint_survives_kill_at_any_moment(tmp_path: Path):
    """SIGKILL while checkpoints are written every step: the file on disk is always a whole one."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from dataclasses import replace; from pathlib import Path; import test_training as t;"
        "e = replace(t.TINY, training=replace(t.TINY.training, checkpoint_every=1,"
        " stage_one=t.StageConfig(100000, batch=2)));"
        "t.train(e, t.NoisePatches(), Path(sys.argv[1]), provenance={}, resume=True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "run"), str(Path(__file__).parent)]
    for _ in range(2):
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 60
        before = _step(tmp_path / "run")
        while _step(tmp_path / "run") < before + 3 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert _step(tmp_path / "run") >= before + 3


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


def test_rate_warms_up_and_ends_at_two_percent():
    assert rate_share(0, 10_000) == pytest.approx(1 / 50)
    assert rate_share(49, 10_000) == pytest.approx(1.0, abs=1e-3)
    assert rate_share(9_999, 10_000) == pytest.approx(0.02, abs=1e-3)


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
