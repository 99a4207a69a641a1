"""From an experiment and a source of patches to a run folder: three stages, stopped and resumed at will."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, Checkpoint
from bnnpan.config import Experiment, TrainingConfig, parse_experiment
from bnnpan.data.source import PatchSource
from bnnpan.model import PanSharpener
from bnnpan.training.keeper import Keeper, Report, Validate
from bnnpan.training.origins import load_origins
from bnnpan.training.processes import joined
from bnnpan.training.record import Record
from bnnpan.training.trainer import Trainer
from bnnpan_runtime.errors import ConfigError, OutputError


def train(
    experiment: Experiment,
    source: PatchSource,
    run: Path,
    *,
    provenance: dict[str, Any],
    validate: Validate | None = None,
    resume: bool = False,
    report: Report = lambda line: None,
    stop_after: int | None = None,
) -> PanSharpener:
    """Train all three stages into the folder `run`; returns the network.

    Writes `resume.safetensors` every `checkpoint_every` steps, `metrics.jsonl` and `pictures/` as it goes and
    `model.safetensors` at the end. With `resume` it continues a stopped run, bit for bit as if it had never
    stopped (same machine, number of threads and of processes). `stop_after` ends the call after that many
    steps, resumable. `validate` is told whether to use the true prior: in stage I nothing predicts it yet.
    `provenance` says what is trained on and is kept with the model. Processes that `torchrun` started train
    together.

    Raises ConfigError when `run` holds a run and `resume` is not set, or one of another experiment or
    provenance, or when the loss is not finite, and OutputError when `run` cannot be written.
    """
    with _settings(experiment.training), joined(experiment.training.device) as processes:
        saved = _saved(run, experiment, resume)
        _make_folder(run)
        origins = load_origins(experiment, processes.device)
        provenance = json.loads(json.dumps(provenance | origins.digests))
        torch.manual_seed(experiment.training.seed)
        with closing(Trainer(experiment, source, origins, processes)) as trainer:
            if saved is not None:
                _check_provenance(run, saved.facts["provenance_so_far"], provenance)
                trainer.take_up(saved)
            most_steps = math.inf if stop_after is None else stop_after
            if processes.is_first:
                place = trainer.stage.name, trainer.progress.step
                with Record(run, experiment.training.tensorboard, trainer.steps_taken) as record:
                    record.forget_after(*place, [stage.name for stage in trainer.stages])
                    keeper = Keeper(experiment, run, provenance, record, validate, report)
                    _advance(trainer, keeper, most_steps)
            else:
                _advance(trainer, None, most_steps)
            return trainer.model.eval()


def _advance(trainer: Trainer, keeper: Keeper | None, most_steps: float) -> None:
    """Take `most_steps` steps, or fewer if that is the end of the last stage; only a keeper writes."""
    taken = 0
    while trainer.find_work():
        if taken == most_steps:
            return
        trainer.step()
        taken += 1
        if keeper is not None:
            keeper.look(trainer, leaving=taken == most_steps)
    if keeper is not None:
        keeper.finish(trainer)


@contextmanager
def _settings(training: TrainingConfig) -> Iterator[None]:
    """PyTorch's own switches, as a run wants them."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(training.threads)
    if training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    torch.use_deterministic_algorithms(training.deterministic)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _make_folder(run: Path) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {run}: {error.strerror}; choose a writable folder") from error


def _saved(run: Path, experiment: Experiment, resume: bool) -> Checkpoint | None:
    path = run / RESUME_NAME
    if (run / MODEL_NAME).exists():
        raise ConfigError(f"{run}: holds a finished run; choose another folder")
    if not path.exists():
        return None
    if not resume:
        raise ConfigError(f"{run}: holds an unfinished run; add --resume, or choose another folder")
    saved = checkpoint.read(path)
    if "provenance_so_far" not in saved.facts:
        raise ConfigError(
            f"{path}: written by another version of bnnpan; resume with that one, or start anew"
        )
    if parse_experiment(saved.facts["experiment"], str(path)) != experiment:
        raise ConfigError(
            f"{path}: belongs to another configuration; resume with the one it was started with"
        )
    return saved


def _check_provenance(run: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise ConfigError(f"{run}: {name} is not what this run was started with; give the same as then")
