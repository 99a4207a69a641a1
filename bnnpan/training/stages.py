"""The three training stages of the paper (section 3.4): what is trained, and against what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

from bnnpan.config import StageConfig, TrainingConfig
from bnnpan.model import BNNPan

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Stage:
    """One stage: its pace, the loss of `(pan, lms, truth)` and the parameters it moves."""

    name: str
    config: StageConfig
    loss: Loss
    parameters: tuple[nn.Parameter, ...]


def stages(model: BNNPan, training: TrainingConfig) -> tuple[Stage, ...]:
    """Stage I: backbone with the true prior. II: the prior's prediction. III: both, without the truth."""
    compiled = torch.compile if training.compile else _as_is
    backbone = tuple(chain(*(part.parameters() for part in (model.head, model.blocks, model.tail))))
    encoder = tuple(model.truth_encoder.parameters())
    predictor = (*model.condition_encoder.parameters(), *model.diffusion.parameters())
    return (
        Stage("I", training.stage_one, compiled(_with_true_prior(model)), backbone + encoder),
        Stage("II", training.stage_two, _prior_only(model), predictor),
        Stage("III", training.stage_three, compiled(_with_predicted_prior(model)), backbone + predictor),
    )


def trainable(stage: Stage, model: BNNPan) -> Iterator[nn.Parameter]:
    """Freeze everything the stage does not move, then yield what it does."""
    model.requires_grad_(False)
    for parameter in stage.parameters:
        parameter.requires_grad_(True)
        yield parameter


def _with_true_prior(model: BNNPan) -> Loss:
    def loss(pan: torch.Tensor, lms: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return F.l1_loss(model(pan, lms, model.true_prior(truth)), truth)

    return loss


def _prior_only(model: BNNPan) -> Loss:
    def loss(pan: torch.Tensor, lms: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        target = model.true_prior(truth).detach()
        condition = model.condition_encoder(torch.cat([lms, pan], dim=1))
        start = model.diffusion.diffuse(target, torch.randn_like(target))
        return F.l1_loss(model.diffusion(start, condition), target)

    return loss


def _with_predicted_prior(model: BNNPan) -> Loss:
    def loss(pan: torch.Tensor, lms: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return F.l1_loss(model(pan, lms, model.predicted_prior(pan, lms)), truth)

    return loss


def _as_is(loss: Loss) -> Loss:
    return loss
