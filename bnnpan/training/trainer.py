"""The network of one run and all that changes while it trains, step by step through the stages."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import nn

from bnnpan.checkpoint import Checkpoint
from bnnpan.config import Experiment
from bnnpan.data.source import PatchSource
from bnnpan.model import PanSharpener, make_network
from bnnpan.model.processes import mean_over_processes
from bnnpan.training.average import averaged
from bnnpan.training.losses import image_loss
from bnnpan.training.optimizer import make_optimizer, rate_share
from bnnpan.training.origins import Origins, start_from
from bnnpan.training.processes import Processes
from bnnpan.training.stages import stages, unfreeze
from bnnpan_runtime.errors import ConfigError


@dataclass
class Progress:
    """Where a run is: everything besides tensors that a resumed run must know.

    `step` counts within the stage; `record` is what the run found out about itself.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    smooth_loss: float = math.nan
    record: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """Takes steps, and can be put down and taken up again between any two."""

    def __init__(
        self, experiment: Experiment, source: PatchSource, origins: Origins, processes: Processes
    ) -> None:
        self._training, self._source, self._processes = experiment.training, source, processes
        self.model = make_network(experiment.model)
        processes.check(experiment, self.model)
        if origins.initial is not None:
            start_from(self.model, origins.initial)
        self.model.to(processes.device)
        losses = image_loss(self._training, origins.teacher)
        self.stages = stages(self.model, self._training, losses, processes.noise_like)
        self._begin(Progress())

    def _begin(self, progress: Progress) -> None:
        """Stand at the beginning of a stage, or anywhere in it before `take_up` loads the rest."""
        self.progress, self.stage = progress, self.stages[progress.stage]
        unfreeze(self.stage, self.model)
        self._loss = self._processes.parallel(self.stage.loss, self.model)
        self._optimizer = make_optimizer(self._training, self.model)
        self._average = averaged(self.model, self._training.average) if self._training.average else None

    @property
    def at_end_of_stage(self) -> bool:
        """Whether the current stage has no step left."""
        return self.progress.step == self.stage.config.steps

    @property
    def steps_taken(self) -> int:
        """Steps of all stages so far."""
        return sum(stage.config.steps for stage in self.stages[: self.progress.stage]) + self.progress.step

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        pace = self.stage.config
        return pace.learning_rate * rate_share(self._training, self.progress.step, pace.steps)

    @property
    def judged_model(self) -> PanSharpener:
        """The network to validate, in evaluation mode: with averaged weights if there are such."""
        model = self.model if self._average is None else cast(PanSharpener, self._average.module)
        return model.eval()

    def close(self) -> None:
        """Let go of the other processes; no step can be taken afterwards."""
        del self._loss

    def find_work(self) -> bool:
        """Move on to the next stage that has a step left; false if none has."""
        while self.at_end_of_stage:
            if self._average is not None and self.progress.step:
                self.model.load_state_dict(self._average.module.state_dict())
            if self.stage is self.stages[-1]:
                self._tell_progress()
                return False
            self._begin(replace(self.progress, stage=self.progress.stage + 1, step=0, smooth_loss=math.nan))
        return True

    def step(self) -> None:
        """One step of the current stage. Raises ConfigError when the loss is not finite."""
        started = time.monotonic()
        progress, stage = self.progress, self.stage
        self.model.train()
        self._tell_progress()
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate
        loss = self._loss(self._processes.share(self._source.sample(stage.config.batch)))
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(stage.parameters, self._training.clip_norm)
        self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self.model)
        value = mean_over_processes(loss).item()
        if not math.isfinite(value):
            raise ConfigError(
                f"stage {stage.name}, step {progress.step}: the loss is {value}; lower its learning_rate"
            )
        first = math.isnan(progress.smooth_loss)
        progress.smooth_loss = value if first else 0.98 * progress.smooth_loss + 0.02 * value
        progress.step += 1
        progress.seconds += time.monotonic() - started

    def put_down(self) -> Checkpoint:
        """All that `take_up` needs to continue to the bit."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self._average is not None:
            tensors |= {f"average.{k}": v for k, v in self._average.state_dict().items()}
        for index, slots in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
        tensors["random"] = torch.get_rng_state()
        return Checkpoint(tensors, {"progress": vars(self.progress), "source": self._source.state()})

    def take_up(self, saved: Checkpoint) -> None:
        """Stand where `put_down` was called."""
        self._begin(Progress(**saved.facts["progress"]))
        self.model.load_state_dict(saved.part("model"))
        if self._average is not None:
            self._average.load_state_dict(saved.part("average"))
        self._source.set_state(saved.facts["source"])
        torch.set_rng_state(saved.tensors["random"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in saved.part("optimizer").items():
            index, slot = name.split(".")
            state.setdefault(int(index), {})[slot] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _tell_progress(self) -> None:
        """Some binarizers change their gradient along the run."""
        all_steps = sum(stage.config.steps for stage in self.stages)
        self.model.set_progress(self.steps_taken / max(1, all_steps))
