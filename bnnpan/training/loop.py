"""The training loop: three stages, one checkpoint file to resume from, one line of metrics per report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bnnpan import checkpoint
from bnnpan.checkpoint import MODEL_NAME, RESUME_NAME, Checkpoint
from bnnpan.config import Experiment
from bnnpan.data.source import PatchSource
from bnnpan.model import BNNPan
from bnnpan.training.stages import stages, trainable
from bnnpan_runtime.errors import ConfigError, OutputError

WARM_UP_STEPS = 50
FINAL_RATE_SHARE = 0.02
REPORT_EVERY = 50
METRICS_NAME = "metrics.jsonl"

Validate = Callable[[BNNPan, bool], dict[str, float]]
Report = Callable[[dict[str, Any]], None]


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
    report: Report = lambda line: None,
    stop_after: int | None = None,
) -> BNNPan:
    """Train all three stages into the folder `run`; returns the network.

    Writes `resume.safetensors` every `checkpoint_every` steps, `metrics.jsonl` as it goes and
    `model.safetensors` at the end. With `resume` it continues a stopped run, bit for bit as if it had never
    stopped (same machine, same thread count). `stop_after` ends the call after that many steps, resumable.
    `validate` is told whether to use the true prior: in stage I nothing predicts it yet.

    Raises ConfigError when `run` holds a run and `resume` is not set, or one of another experiment, or when
    the loss is not finite, and OutputError when `run` cannot be written.
    """
    saved = _saved(run, experiment, resume)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {run}: {error.strerror}; choose a writable folder") from error
    torch.set_num_threads(experiment.training.threads)
    torch.manual_seed(experiment.training.seed)
    trainer = _Trainer(experiment, source, run, validate, report)
    if saved is not None:
        trainer.restore(saved)
    trainer.drop_later_lines()
    if trainer.advance(math.inf if stop_after is None else stop_after):
        model = trainer.model.eval()
        checkpoint.save_model(run / MODEL_NAME, model, experiment, provenance | trainer.progress.record)
        (run / RESUME_NAME).unlink(missing_ok=True)
    return trainer.model


class _Trainer:
    """The network of one run, and all that changes while it trains."""

    def __init__(
        self,
        experiment: Experiment,
        source: PatchSource,
        run: Path,
        validate: Validate | None,
        report: Report,
    ) -> None:
        self.experiment, self.source, self.run = experiment, source, run
        self.validate, self.report = validate, report
        self.model = BNNPan(experiment.model)
        self.stages = stages(self.model, experiment.training)
        self._begin(Progress())

    def _begin(self, progress: Progress) -> None:
        """Stand at the beginning of a stage, or anywhere in it before `restore` loads the optimizer."""
        self.progress, self.stage = progress, self.stages[progress.stage]
        parameters = trainable(self.stage, self.model)
        self.optimizer = torch.optim.Adam(parameters, self.stage.config.learning_rate, betas=(0.9, 0.99))

    def restore(self, saved: Checkpoint) -> None:
        """Stand where the checkpoint was taken."""
        self._begin(Progress(**saved.facts["progress"]))
        self.model.load_state_dict(saved.part("model"))
        self.source.set_state(saved.facts["source"])
        torch.set_rng_state(saved.tensors["random"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in saved.part("optimizer").items():
            index, slot = name.split(".")
            state.setdefault(int(index), {})[slot] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def advance(self, most_steps: float) -> bool:
        """Take `most_steps` steps, or fewer if that is the end of the last stage; true at that end."""
        training, taken = self.experiment.training, 0
        while True:
            while self.progress.step < self.stage.config.steps:
                if taken == most_steps:
                    return False
                self._step()
                taken += 1
                if self.progress.step % REPORT_EVERY == 0 or self._at_end_of_stage():
                    self._report()
                if self.progress.step % training.checkpoint_every == 0 or taken == most_steps:
                    self._save()
            if self.stage is self.stages[-1]:
                return True
            self._begin(replace(self.progress, stage=self.progress.stage + 1, step=0, smooth_loss=math.nan))

    def _step(self) -> None:
        started = time.monotonic()
        progress, stage = self.progress, self.stage
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = stage.config.learning_rate * rate_share(progress.step, stage.config.steps)
        loss = stage.loss(*(torch.from_numpy(part) for part in self.source.sample(stage.config.batch)))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(stage.parameters, self.experiment.training.clip_norm)
        self.optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise ConfigError(
                f"stage {stage.name}, step {progress.step}: the loss is {value}; lower its learning_rate"
            )
        first = math.isnan(progress.smooth_loss)
        progress.smooth_loss = value if first else 0.98 * progress.smooth_loss + 0.02 * value
        progress.step += 1
        progress.seconds += time.monotonic() - started

    def _at_end_of_stage(self) -> bool:
        return self.progress.step == self.stage.config.steps

    def _report(self) -> None:
        progress, stage = self.progress, self.stage
        line: dict[str, Any] = {
            "stage": stage.name,
            "step": progress.step,
            "steps": stage.config.steps,
            "loss": progress.smooth_loss,
            "seconds": round(progress.seconds, 1),
        }
        due = self._at_end_of_stage() or progress.step % self.experiment.training.validate_every == 0
        # Stage II leaves the backbone alone.
        if self.validate is not None and stage.name != "II" and due:
            line["validation"] = self.validate(self.model.eval(), stage.name == "I")
            progress.record["validation"] = line["validation"]
        with (self.run / METRICS_NAME).open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.report(line)

    def _save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
        tensors["random"] = torch.get_rng_state()
        facts = {
            "experiment": self.experiment.to_json(),
            "progress": vars(self.progress),
            "source": self.source.state(),
        }
        checkpoint.write(self.run / RESUME_NAME, Checkpoint(tensors, facts))

    def drop_later_lines(self) -> None:
        """Forget metrics written after the point where this run stands: it writes them again."""
        path = self.run / METRICS_NAME
        if not path.exists():
            return
        names = [stage.name for stage in self.stages]
        kept = []
        for text in path.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:  # the last line of a killed run may be cut off
                continue
            if (names.index(line["stage"]), line["step"]) <= (self.progress.stage, self.progress.step):
                kept.append(text + "\n")
        whole = path.with_name(path.name + ".partial")
        whole.write_text("".join(kept))
        whole.replace(path)


def rate_share(step: int, steps: int) -> float:
    """Learning rate of a step over the stage's own: linear warm-up, then a cosine to 2 %."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return warm * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * cosine)


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
