"""Several processes started by torchrun train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_training
import torch
from tiny_training import TINY, NoisePatches, losses, tensors

from bnnpan.checkpoint import RESUME_NAME
from bnnpan.config import Experiment, StageConfig
from bnnpan.model import BNNPan
from bnnpan.training import train
from bnnpan.training.processes import Processes
from bnnpan_runtime.errors import ConfigError

FEW = StageConfig(5, batch=4)
EXPERIMENT = replace(
    TINY,
    training=replace(
        TINY.training,
        stage_one=FEW,
        stage_two=FEW,
        stage_three=FEW,
        average=0.9,
        sam_weight=0.1,
        q_weight=0.1,
    ),
)
ROUNDING = 1e-4
"""Sums in another order differ by 1e-7; fifteen steps of Adam and a few flipped signs make more of it."""


def torchrun(experiment: Experiment, run: Path, processes: int) -> subprocess.CompletedProcess[str]:
    config = run.with_suffix(".json")
    config.write_text(json.dumps(experiment.to_json()))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [*command, tiny_training.__file__, str(config), str(run)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path):
    together = torchrun(EXPERIMENT, tmp_path / "two", 2)
    assert together.returncode == 0, together.stderr
    train(EXPERIMENT, NoisePatches(), tmp_path / "one", provenance={})
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [line[:2] for line in one] == [line[:2] for line in two]  # written once, not by every process
    assert [line[2] for line in two] == pytest.approx([line[2] for line in one], rel=ROUNDING)
    expected, learnt = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    for name in expected:
        torch.testing.assert_close(learnt[name], expected[name], rtol=ROUNDING, atol=ROUNDING, msg=name)
    assert not (tmp_path / "two" / RESUME_NAME).exists()


def test_processes_share_a_batch_and_its_noise_without_overlap():
    batch = NoisePatches().sample(4)
    target = torch.empty(4, 3)
    parts, noises = [], []
    for rank in range(2):
        process = Processes(torch.device("cpu"), rank, 2)
        parts.append(process.share(batch))
        torch.manual_seed(7)
        noises.append(process.noise_like(target[:2]))
    for field, whole in enumerate(batch):
        assert torch.equal(torch.cat([part[field] for part in parts]), torch.from_numpy(whole))
    torch.manual_seed(7)
    assert torch.equal(torch.cat(noises), Processes(torch.device("cpu")).noise_like(target))


def test_what_processes_cannot_share_is_refused():
    three = Processes(torch.device("cpu"), 0, 3)
    with pytest.raises(ConfigError, match="3 processes cannot share a batch of 4 evenly"):
        three.check(EXPERIMENT, BNNPan(EXPERIMENT.model))
    normalised = replace(EXPERIMENT, model=replace(EXPERIMENT.model, binarizer="irnet"))
    with pytest.raises(ConfigError, match="'irnet' normalises over the batch"):
        Processes(torch.device("cpu"), 0, 2).check(normalised, BNNPan(normalised.model))
