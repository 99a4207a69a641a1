"""How far a fused image is from the truth: L1, and what may be added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from bnnpan.config import TrainingConfig
from bnnpan.data.batch import Batch
from bnnpan.model import PanSharpener

ImageLoss = Callable[[torch.Tensor, Batch[torch.Tensor]], torch.Tensor]
"""Of a fused image `(n, bands, height, width)` and the batch it was made from."""

DARK = 1e-3
"""Length below which a spectrum has no angle, DN over the bit depth: about two DN at 11 bits."""

Q_WINDOW, Q_STRIDE = 8, 4
Q_FLOOR = 1e-6
"""Added to numerators and denominators of Q, so that windows without any detail agree."""

_TINY = 1e-12  # keeps the slope of a square root finite


def image_loss(training: TrainingConfig, teacher: PanSharpener | None) -> ImageLoss:
    """L1 plus the weighted terms that the configuration names; terms of weight 0 cost nothing."""

    def loss(fused: torch.Tensor, batch: Batch[torch.Tensor]) -> torch.Tensor:
        total = F.l1_loss(fused, batch.truth)
        if training.sam_weight:
            total = total + training.sam_weight * spectral_angle(*_levelled(batch, fused, batch.truth))
        if training.q_weight:
            total = total + training.q_weight * (1 - q_index(*_levelled(batch, fused, batch.truth)))
        if teacher is not None:
            total = total + training.teacher_weight * F.l1_loss(fused, _lesson(teacher, batch))
        return total

    return loss


def spectral_angle(fused: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean angle between the spectra of two images, radians.

    Kahan's form `2 atan2(|u - v|, |u + v|)` of unit vectors: unlike acos its slope stays finite at 0.
    """
    u, v = F.normalize(fused, dim=1, eps=DARK), F.normalize(truth, dim=1, eps=DARK)
    return 2 * torch.atan2(_length(u - v), _length(u + v)).mean()


def q_index(fused: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean over bands and windows of the universal quality index of Wang and Bovik (2002); 1 is equal."""
    fused_mean, truth_mean = _windows(fused), _windows(truth)
    fused_variance = _windows(fused.square()) - fused_mean.square()
    truth_variance = _windows(truth.square()) - truth_mean.square()
    covariance = _windows(fused * truth) - fused_mean * truth_mean
    structure = (2 * covariance + Q_FLOOR) / (fused_variance + truth_variance + Q_FLOOR)
    level = (2 * fused_mean * truth_mean + Q_FLOOR) / (fused_mean.square() + truth_mean.square() + Q_FLOOR)
    return (structure * level).mean()


@torch.no_grad()
def _lesson(teacher: PanSharpener, batch: Batch[torch.Tensor]) -> torch.Tensor:
    prior = teacher.predicted_prior(batch.pan, batch.lms)
    return teacher(batch.pan, batch.lms, prior)


def _levelled(batch: Batch[torch.Tensor], *images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Images in DN over the bit depth: scene units have taken away what angles and levels depend on."""
    level, contrast = (values[:, :, None, None] for values in (batch.level, batch.contrast))
    return (level + contrast * image for image in images)


def _length(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors.square().sum(dim=1) + _TINY).sqrt()


def _windows(image: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(image, Q_WINDOW, Q_STRIDE)
