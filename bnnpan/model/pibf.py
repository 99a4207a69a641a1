"""PIBF block: wavelet-domain binary convolution, latent prior compensation, distribution calibration."""

from __future__ import annotations

import torch
from torch import nn

from bnnpan.model.binarizers import make_unit
from bnnpan.model.config import Binarizer
from bnnpan.model.wavelet import SUB_BANDS, haar, inverse_haar

STD_EPSILON = 1e-8


class PIBF(nn.Module):
    """One block, BWTC -> LDPC -> CDC (Fig. 4, Eq. 2 to 8, 17 and 18).

    LDPC and CDC together are one affine per channel, `O = a * Y + b` with `a = 1 + W_c z_w` and
    `b = W_c z_b`, once the prior and the statistics are known; `affine` computes it. What the keywords switch
    off is described in `ModelConfig`.
    """

    def __init__(
        self,
        channels: int,
        latent: int,
        outer_skip: bool,
        norm_lambda: float,
        *,
        binarizer: Binarizer = "bnnpan",
        final_window: float = 1.0,
        wavelet: bool = True,
        norm: bool = True,
        ldpc: bool = True,
        cdc: bool = True,
    ) -> None:
        super().__init__()
        self.outer_skip, self.wavelet, self.has_ldpc, self.has_cdc = outer_skip, wavelet, ldpc, cdc
        sub_bands = len(SUB_BANDS) if wavelet else 1
        self.nbc = make_unit(
            binarizer, sub_bands, channels, norm_lambda=norm_lambda, norm=norm, final_window=final_window
        )
        if ldpc:
            self.ldpc = nn.Linear(latent, 2 * channels)
        if cdc:
            self.cdc = nn.Linear(3 * channels, channels)

    def forward(self, x: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """`(n, channels, height, width)` and a prior `(n or 1, latent)` to the block's output, same shape."""
        y = self.bwtc(x)
        return apply_affine(y, *self.affine(y, prior, pooled=False))

    def bwtc(self, x: torch.Tensor) -> torch.Tensor:
        """Binary wavelet transform convolution, Eq. 2 to 7; same shape as `x`."""
        y = inverse_haar(self.nbc(haar(x))) if self.wavelet else self.nbc(x.unsqueeze(1)).squeeze(1)
        return y + x if self.outer_skip else y

    def affine(self, y: torch.Tensor, prior: torch.Tensor, pooled: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """`a` and `b`, `(n, channels)`; with `pooled`, `(1, channels)` from statistics over the batch."""
        if self.has_ldpc:
            z_w, z_b = self.ldpc(prior).chunk(2, dim=1)
        else:
            z_w = y.new_ones(1 if pooled else len(y), y.shape[1])
            z_b = torch.zeros_like(z_w)
        if self.has_cdc:
            weight = torch.sigmoid(self.cdc(_statistics(apply_affine(y, z_w, z_b), pooled)))
            return 1 + weight * z_w, weight * z_b
        return (1 + z_w, z_b) if self.has_ldpc else (z_w, z_b)


def apply_affine(x: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Per-channel `gain * x + offset`; gain and offset `(n or 1, channels)`."""
    return x * gain[..., None, None] + offset[..., None, None]


def _statistics(x: torch.Tensor, pooled: bool) -> torch.Tensor:
    """Mean magnitude, mean and deviation of each channel, `(n or 1, 3 * channels)`."""
    axes = (0, 2, 3) if pooled else (2, 3)
    mean = x.mean(axes)
    variance = (x.square().mean(axes) - mean.square()).clamp_min(0)
    together = torch.cat([x.abs().mean(axes), mean, (variance + STD_EPSILON).sqrt()], dim=-1)
    return together[None] if pooled else together
