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
from bnnpan.model import BNNPan, PanSharpener
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
    model: PanSharpener, training: TrainingConfig, image_loss: ImageLoss, noise_like: NoiseLike
) -> tuple[Stage, ...]:
    """Stage I: backbone with the true prior. II: the prior's prediction. III: both, without the truth.

    A network without a prior has the third alone; `parse_experiment` refuses steps of the others.
    """
    if not isinstance(model, BNNPan):
        return (_third(model, training, image_loss),)
    backbone, encoder = _parameters(*model.backbone), _parameters(model.truth_encoder)

    def with_true_prior(batch: Batch[torch.Tensor]) -> torch.Tensor:
        return image_loss(model(batch.pan, batch.lms, model.true_prior(batch.truth)), batch)

    def prior_only(batch: Batch[torch.Tensor]) -> torch.Tensor:
        target = model.true_prior(batch.truth).detach()
        condition = model.condition_encoder(torch.cat([batch.lms, batch.pan], dim=1))
        start = model.diffusion.diffuse(target, noise_like(target))
        return F.l1_loss(model.diffusion(start, condition), target)

    return (
        Stage("I", training.stage_one, _compiled(with_true_prior, training), backbone + encoder),
        Stage("II", training.stage_two, prior_only, _parameters(*model.predictor)),
        _third(model, training, image_loss),
    )


def _third(model: PanSharpener, training: TrainingConfig, image_loss: ImageLoss) -> Stage:
    def with_predicted_prior(batch: Batch[torch.Tensor]) -> torch.Tensor:
        prior = model.predicted_prior(batch.pan, batch.lms)
        return image_loss(model(batch.pan, batch.lms, prior), batch)

    parameters = _parameters(*model.backbone, *model.predictor)
    return Stage("III", training.stage_three, _compiled(with_predicted_prior, training), parameters)


def unfreeze(stage: Stage, model: nn.Module) -> None:
    """Let the stage's parameters learn, and no others."""
    model.requires_grad_(False)
    for parameter in stage.parameters:
        parameter.requires_grad_(True)


def _parameters(*parts: nn.Module) -> tuple[nn.Parameter, ...]:
    return tuple(chain.from_iterable(part.parameters() for part in parts))


def _compiled(loss: Loss, training: TrainingConfig) -> Loss:
    return torch.compile(loss) if training.compile else loss
