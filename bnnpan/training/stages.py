"""The three training stages of the paper (section 3.4): what is trained, and against what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

from bnnpan.config import StageConfig, TrainingConfig
from bnnpan.data.batch import Batch
from bnnpan.model import BNNPan
from bnnpan.training.losses import ImageLoss
from bnnpan.training.processes import Loss

NoiseLike = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Stage:
    """One stage: its pace, the loss of a batch and the parameters it moves."""

    name: str
    config: StageConfig
    loss: Loss
    parameters: tuple[nn.Parameter, ...]


def stages(
    model: BNNPan, training: TrainingConfig, image_loss: ImageLoss, noise_like: NoiseLike
) -> tuple[Stage, ...]:
    """Stage I: backbone with the true prior. II: the prior's prediction. III: both, without the truth."""
    compiled = torch.compile if training.compile else _as_is
    backbone = tuple(chain(*(part.parameters() for part in (model.head, model.blocks, model.tail))))
    encoder = tuple(model.truth_encoder.parameters())
    predictor = (*model.condition_encoder.parameters(), *model.diffusion.parameters())

    def with_true_prior(batch: Batch[torch.Tensor]) -> torch.Tensor:
        return image_loss(model(batch.pan, batch.lms, model.true_prior(batch.truth)), batch)

    def prior_only(batch: Batch[torch.Tensor]) -> torch.Tensor:
        target = model.true_prior(batch.truth).detach()
        condition = model.condition_encoder(torch.cat([batch.lms, batch.pan], dim=1))
        start = model.diffusion.diffuse(target, noise_like(target))
        return F.l1_loss(model.diffusion(start, condition), target)

    def with_predicted_prior(batch: Batch[torch.Tensor]) -> torch.Tensor:
        prior = model.predicted_prior(batch.pan, batch.lms)
        return image_loss(model(batch.pan, batch.lms, prior), batch)

    return (
        Stage("I", training.stage_one, compiled(with_true_prior), backbone + encoder),
        Stage("II", training.stage_two, prior_only, predictor),
        Stage("III", training.stage_three, compiled(with_predicted_prior), backbone + predictor),
    )


def unfreeze(stage: Stage, model: BNNPan) -> None:
    """Let the stage's parameters learn, and no others."""
    model.requires_grad_(False)
    for parameter in stage.parameters:
        parameter.requires_grad_(True)


def _as_is(loss: Loss) -> Loss:
    return loss
