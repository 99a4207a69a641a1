"""How weights move: the optimizer of a stage and the pace of its steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from bnnpan.config import TrainingConfig

BETAS = (0.9, 0.99)
WARM_UP_STEPS = 50
FINAL_RATE_SHARE = 0.02
"""Of the stage's rate, where the cosine ends."""


def make_optimizer(training: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Optimizer of all parameters of `model` that learn; the rate is set step by step."""
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # what is called a weight is a filter or a matrix
            (decayed if name.endswith("weight") else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return kind(groups, betas=BETAS)


def rate_share(training: TrainingConfig, step: int, steps: int) -> float:
    """Learning rate of a step over the stage's own: linear warm-up, then the schedule."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    if training.schedule == "step":
        return warm * training.step_factor ** math.floor(step / (training.step_share * steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return warm * (FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * cosine)
