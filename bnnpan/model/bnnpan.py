"""The whole network, in the pixel domain: the reference every exported form is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from bnnpan.model.base import PanSharpener
from bnnpan.model.config import ModelConfig
from bnnpan.model.pibf import PIBF, apply_affine
from bnnpan.model.prior import LatentEncoder, ReverseDiffusion


class BNNPan(PanSharpener):
    """Binarized pan-sharpening network (Eq. 1): `SR = N(PAN, LMS, z^) + LMS`."""

    latent_start: torch.Tensor
    """z_T, `(latent,)`: drawn once, kept with the weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        channels, latent = config.channels, config.latent
        rectified = config.pooled_encoder == "rectified"
        self.truth_encoder = LatentEncoder(config.bands, latent, rectified)
        self.condition_encoder = LatentEncoder(config.bands + 1, latent, rectified)
        self.diffusion = ReverseDiffusion(latent, config.prior_steps, config.prior_predicts)
        self.register_buffer("latent_start", torch.randn(latent))
        self.head = nn.Conv2d(config.bands + 1, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            PIBF(
                channels,
                latent,
                config.outer_skip,
                config.norm_lambda,
                binarizer=config.binarizer,
                final_window=config.final_window,
                wavelet=config.wavelet,
                norm=config.norm,
                ldpc=config.ldpc,
                cdc=config.cdc,
            )
            for _ in range(config.blocks)
        )
        self.tail = nn.Conv2d(channels, config.bands, 3, padding=1)
        # An untrained network returns LMS.
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    @property
    def backbone(self) -> tuple[nn.Module, ...]:
        """First convolution, blocks and last convolution."""
        return self.head, self.blocks, self.tail

    @property
    def predictor(self) -> tuple[nn.Module, ...]:
        """Encoder of the condition and reverse diffusion."""
        return self.condition_encoder, self.diffusion

    def set_progress(self, share: float) -> None:
        """Tell the units how much of the training is behind them, 0 to 1: some sharpen their gradients."""
        for block in self._pibf():
            block.nbc.set_progress(share)

    def forward(self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Fuse with a given prior `(n, latent)`, statistics taken per image."""
        x = self._head(pan, lms)
        for block in self._pibf():
            x = block(x, prior)
        return self.tail(x) + lms

    def true_prior(self, truth: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """z = LE(GT), `(n or 1, latent)`: the prior of stage I and the target of stage II."""
        return self.truth_encoder(truth, pooled)

    def predicted_prior(self, pan: torch.Tensor, lms: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """z^ from the stored z_T, `(n, latent)`, or `(1, latent)` for a batch that is one scene."""
        condition = self.condition_encoder(torch.cat([lms, pan], dim=1), pooled)
        return self.diffusion(self.latent_start.expand(len(condition), -1), condition)

    def calibrate(
        self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Freeze everything global of a scene: affines `(blocks, 2, channels)` from patches of that scene.

        Condition, prior and CDC statistics are pooled over all patches of the batch; a `prior` `(1, latent)`
        replaces the predicted one.
        """
        if prior is None:
            prior = self.predicted_prior(pan, lms, pooled=True)
        x = self._head(pan, lms)
        affines = []
        for block in self._pibf():
            y = block.bwtc(x)
            gain, offset = block.affine(y, prior, pooled=True)
            x = apply_affine(y, gain, offset)
            affines.append(torch.cat([gain, offset]))
        return torch.stack(affines)

    def fuse(self, pan: torch.Tensor, lms: torch.Tensor, affines: torch.Tensor) -> torch.Tensor:
        """Fuse with frozen affines `(blocks, 2, channels)`: strictly local, what flies."""
        x = self._head(pan, lms)
        for block, (gain, offset) in zip(self._pibf(), affines, strict=True):
            x = apply_affine(block.bwtc(x), gain[None], offset[None])
        return self.tail(x) + lms

    def _head(self, pan: torch.Tensor, lms: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([lms, pan], dim=1))

    def _pibf(self) -> Iterator[PIBF]:
        return cast(Iterator[PIBF], iter(self.blocks))
