"""A moving average of the weights: it scores better than any single step, at no cost in flight."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from bnnpan.model import PanSharpener


def averaged(model: PanSharpener, decay: float) -> AveragedModel:
    """A copy of `model` whose `update_parameters(model)` follows it at `decay` per step.

    The decay grows from 1/10 with the number of steps, as in TensorFlow's ExponentialMovingAverage, so that
    the first weights are soon forgotten. Buffers are copied, not averaged.
    """

    @torch.no_grad()
    def follow(average: Any, current: Any, steps: Any) -> None:
        taken = int(steps)
        torch._foreach_lerp_(average, current, 1 - min(decay, (1 + taken) / (10 + taken)))

    copy = AveragedModel(model, multi_avg_fn=follow)
    copy.requires_grad_(False)
    return copy
