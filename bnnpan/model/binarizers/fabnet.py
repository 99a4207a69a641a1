"""FABNet: one binary branch for low frequencies, one for all high ones together."""

from __future__ import annotations

import torch
from torch import nn

from bnnpan.model.binarize import clipped_sign, triangle_sign
from bnnpan.model.unit import SubBandUnit, filter_scale, latent_weight, sign_convolution, spread

LOW_SLOPES = ((0.05, 1.0), (0.2, 2.0), (1.0, 4.0))
HIGH_SLOPES = ((0.2, 2.0), (1.0, 4.0))
"""Steepest slope of the sign's gradient up to that share of the training: 50 and 200 of 1000 epochs
(xrjiang527/FABNet-PyTorch)."""


class FABNet(SubBandUnit):
    """Frequency split of FABNet (Jiang et al., IEEE TIP 2023): `x + PReLU(s (sign(x + b) * sign(W)))` twice.

    LL is convolved alone, the three other sub-bands with each other, 3C channels to 3C. The gradient of the
    activation's sign, a triangle of height i and half width 2 / i, sharpens in steps, later for LL than for
    the rest. Our reading of it as a unit of this backbone: one convolution where FABNet's blocks have two,
    and as many units for high frequencies as for LL, where FABNet has twice as many.
    """

    window: torch.Tensor
    """Half width of the gradient, `(2,)`: LL, others."""

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.low = latent_weight(1, channels)
        self.high = latent_weight(1, (sub_bands - 1) * channels)
        self.shift, self.beta = self.per_channel(0.0), self.per_channel(0.25)
        self.register_buffer("window", torch.ones(2), persistent=False)
        self.set_progress(0.0)

    def binary_weights(self) -> tuple[nn.Parameter, ...]:
        """Weights of both branches."""
        return self.low, self.high

    def set_progress(self, share: float) -> None:
        """Sharpen the gradient in steps."""
        for branch, slopes in enumerate((LOW_SLOPES, HIGH_SLOPES)):
            self.window[branch] = 2 / next(slope for until, slope in slopes if share <= until)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands, LL first, to the same shape."""
        shifted = x + spread(self.shift)
        high_input = shifted[:, 1:].flatten(1, 2).unsqueeze(1)
        low = _convolution(shifted[:, :1], self.low, self.window[0])
        high = _convolution(high_input, self.high, self.window[1]).reshape_as(x[:, 1:])
        sums = torch.cat([low, high], 1)
        return x + torch.where(sums > 0, sums, spread(self.beta) * sums)


def _convolution(x: torch.Tensor, weight: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    return sign_convolution(triangle_sign(x, window), clipped_sign(weight)) * spread(filter_scale(weight))
