"""The training loop: three stages, one checkpoint file to resume from, one line of metrics per report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, Checkpoint
from bnnpan.config import Experiment
from bnnpan.data.source import PatchSource
from bnnpan.model import BNNPan
from bnnpan.training.stages import Stage, stages, trainable
from bnnpan_runtime.errors import ConfigError

WARM_UP_STEPS = 50
FINAL_RATE_SHARE = 0.02
REPORT_EVERY = 50

Validate = Callable[[BNNPan, bool], dict[str, float]]


@dataclass
class Progress:
    """Where a run is: everything besides tensors that a resumed run must know."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    smooth_loss: float = math.nan
    record: dict[str, Any] = field(default_factory=dict)


def train(
    experiment: Experiment,
    source: PatchSource,
    run: Path,
    *,
    provenance: dict[str, Any],
    validate: Validate | None = None,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] = lambda line: None,
    stop_after: int | None = None,
) -> BNNPan:
    """Train all three stages into the folder `run`; returns the network.

    Writes `resume.safetensors` every `checkpoint_every` steps, `metrics.jsonl` as it goes and
    `model.safetensors` at the end. With `resume` it continues a stopped run, bit for bit as if it had never
    stopped (same machine, same thread count). `stop_after` ends the call after that many steps, resumable.
    `validate` is told whether to use the true prior: in stage I nothing predicts it yet.

    Raises ConfigError when `run` holds a run and `resume` is not set, or one of another experiment.
    """
    training = experiment.training
    torch.set_num_threads(training.threads)
    torch.manual_seed(training.seed)
    run.mkdir(parents=True, exist_ok=True)
    model = BNNPan(experiment.model)
    plan = stages(model, training)
    progress = Progress()
    optimizer: torch.optim.Optimizer | None = None
    saved = _saved(run, experiment, resume)
    if saved is not None:
        progress = Progress(**saved.facts["progress"])
        model.load_state_dict(saved.part("model"))
        source.set_state(saved.facts["source"])
        _drop_later_lines(run / "metrics.jsonl", progress)
    remaining = stop_after if stop_after is not None else -1
    for index in range(progress.stage, len(plan)):
        stage = plan[index]
        optimizer = torch.optim.Adam(trainable(stage, model), stage.config.learning_rate, betas=(0.9, 0.99))
        if saved is not None:
            _restore(optimizer, saved)
            saved = None
        while progress.step < stage.config.steps and remaining != 0:
            _one_step(stage, model, optimizer, source, progress, training.clip_norm)
            remaining -= 1
            last = progress.step == stage.config.steps
            if progress.step % REPORT_EVERY == 0 or last:
                _report(run, stage, progress, model, training.validate_every, validate, report)
            if progress.step % training.checkpoint_every == 0 or remaining == 0:
                _save(run, experiment, model, optimizer, source, progress)
        if remaining == 0 and progress.step < stage.config.steps:
            return model
        progress.stage, progress.step, progress.smooth_loss = index + 1, 0, math.nan
    checkpoint.save_model(run / MODEL_NAME, model.eval(), experiment, provenance | progress.record)
    (run / RESUME_NAME).unlink(missing_ok=True)
    return model


def _one_step(
    stage: Stage,
    model: BNNPan,
    optimizer: torch.optim.Optimizer,
    source: PatchSource,
    progress: Progress,
    clip_norm: float,
) -> None:
    started = time.monotonic()
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = stage.config.learning_rate * rate_share(progress.step, stage.config.steps)
    loss = stage.loss(*(torch.from_numpy(part) for part in source.sample(stage.config.batch)))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(stage.parameters, clip_norm)
    optimizer.step()
    value = loss.item()
    if not math.isfinite(value):
        raise ConfigError(
            f"stage {stage.name}, step {progress.step}: the loss is {value}; lower its learning_rate"
        )
    first = math.isnan(progress.smooth_loss)
    progress.smooth_loss = value if first else 0.98 * progress.smooth_loss + 0.02 * value
    progress.step += 1
    progress.seconds += time.monotonic() - started


def rate_share(step: int, steps: int) -> float:
    """Learning rate of a step over the stage's own: linear warm-up, then a cosine to 2 %."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return warm * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * cosine)


def _report(
    run: Path,
    stage: Stage,
    progress: Progress,
    model: BNNPan,
    validate_every: int,
    validate: Validate | None,
    report: Callable[[dict[str, Any]], None],
) -> None:
    last = progress.step == stage.config.steps
    line: dict[str, Any] = {
        "stage": stage.name,
        "step": progress.step,
        "steps": stage.config.steps,
        "loss": progress.smooth_loss,
        "seconds": round(progress.seconds, 1),
    }
    # Stage II leaves the backbone alone.
    if validate is not None and stage.name != "II" and (last or progress.step % validate_every == 0):
        model.eval()
        line["validation"] = validate(model, stage.name == "I")
        progress.record["validation"] = line["validation"]
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    report(line)


def _saved(run: Path, experiment: Experiment, resume: bool) -> Checkpoint | None:
    path = run / RESUME_NAME
    if (run / MODEL_NAME).exists():
        raise ConfigError(f"{run}: holds a finished run; choose another folder")
    if not path.exists():
        return None
    if not resume:
        raise ConfigError(f"{run}: holds an unfinished run; add --resume, or choose another folder")
    saved = checkpoint.read(path)
    if saved.facts["experiment"] != json.loads(json.dumps(experiment.to_json())):
        raise ConfigError(
            f"{path}: belongs to another configuration; resume with the one it was started with"
        )
    return saved


def _save(
    run: Path,
    experiment: Experiment,
    model: BNNPan,
    optimizer: torch.optim.Optimizer,
    source: PatchSource,
    progress: Progress,
) -> None:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    tensors["random"] = torch.get_rng_state()
    facts = {"experiment": experiment.to_json(), "progress": vars(progress), "source": source.state()}
    checkpoint.write(run / RESUME_NAME, Checkpoint(tensors, facts))


def _restore(optimizer: torch.optim.Optimizer, saved: Checkpoint) -> None:
    torch.set_rng_state(saved.tensors["random"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in saved.part("optimizer").items():
        index, slot = name.split(".")
        state.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _drop_later_lines(path: Path, progress: Progress) -> None:
    """Forget metrics written after the checkpoint: the resumed run writes them again."""
    if not path.exists():
        return
    names = ("I", "II", "III")
    kept = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if (names.index(line["stage"]), line["step"]) <= (progress.stage, progress.step):
            kept.append(text + "\n")
    path.write_text("".join(kept))
