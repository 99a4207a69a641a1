"""What training, evaluation and cost ask of a network, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from bnnpan.model.config import ModelConfig


class PanSharpener(nn.Module, ABC):
    """A network that fuses PAN and LMS, given what it needs to know of the whole scene.

    That is a prior, and affines to replace statistics of the image. `forward` is how it trains, `calibrate`
    once per scene and then `fuse` how it is judged and flies.

    All images are in network units (`ModelConfig.units`): PAN `(n, 1, height, width)`, LMS, truth and
    result `(n, bands, height, width)`, float32, height and width even.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def backbone(self) -> tuple[nn.Module, ...]:
        """What every pixel passes through."""

    @property
    @abstractmethod
    def predictor(self) -> tuple[nn.Module, ...]:
        """What predicts the prior, once per scene."""

    @abstractmethod
    def forward(self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Fuse with a given prior `(n, latent)`, statistics taken per image."""

    @abstractmethod
    def true_prior(self, truth: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """The prior as the ground truth has it, `(n, latent)`, or `(1, latent)` for a batch of one scene."""

    @abstractmethod
    def predicted_prior(self, pan: torch.Tensor, lms: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """The prior without the truth, `(n, latent)`, or `(1, latent)` for a batch that is one scene."""

    @abstractmethod
    def calibrate(
        self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Freeze everything global of a scene: affines `(blocks, 2, channels)` from patches of that scene.

        A `prior` `(1, latent)` replaces the predicted one.
        """

    @abstractmethod
    def fuse(self, pan: torch.Tensor, lms: torch.Tensor, affines: torch.Tensor) -> torch.Tensor:
        """Fuse with frozen affines: strictly local."""

    def set_progress(self, share: float) -> None:
        """Follow the training's progress, 0 to 1."""
