"""Units made for image restoration, without batch normalisation: BTM, BBCU and BiSRNet."""

from __future__ import annotations

import torch

from bnnpan.model.binarize import clipped_sign, sign_with_gradient_of, triangle_sign
from bnnpan.model.binarizers.base import BinaryUnit
from bnnpan.model.unit import filter_scale, rprelu, spread

BTM_BRANCH_GAIN = 0.2
BTM_EPSILON = 1e-5
BBCU_AMPLIFICATION = 130 / 64
"""Per channel, of images in 0 to 1: the value its authors recommend (Zj-BinXia/BBCU, README)."""


class _Shifted(BinaryUnit):
    """A learnable threshold before the sign and RPReLU after the convolution."""

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.shift = self.per_channel(0.0)
        self.gamma, self.beta, self.zeta = (self.per_channel(value) for value in (0.0, 0.25, 0.0))

    def rprelu(self, x: torch.Tensor) -> torch.Tensor:
        return rprelu(x, self.gamma, self.beta, self.zeta)


class BTM(_Shifted):
    """BTM (Jiang et al., AAAI 2021): `RPReLU(x + 0.2 g s(V) (sign(x + b) * sign(V)))`.

    Weights are standardised in place of batch normalisation: `V = (W - mean(W)) / (std(W) + eps) / sqrt(9C)`;
    `g` is a learnable gain per filter, `s(V)` the mean magnitude. Both signs have the clipped gradient.
    Formula and constants from its use for images (caiyuanhao1998/BiSCI; its input gain is 1). Not included:
    the multiple receptive field block and the distillation in stages of the paper.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.gain = self.per_channel(1.0)

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign above a learnable threshold."""
        return clipped_sign(x + spread(self.shift))

    def weight_signs(self) -> torch.Tensor:
        """Sign of the standardised weights."""
        return clipped_sign(self._standardised())

    def scale(self) -> torch.Tensor:
        """Learnable gain times the mean magnitude of the standardised filter."""
        return self.gain * filter_scale(self._standardised())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return self.rprelu(x + BTM_BRANCH_GAIN * self.convolution(x))

    def _standardised(self) -> torch.Tensor:
        std, mean = torch.std_mean(self.weight, (2, 3, 4), correction=0, keepdim=True)
        fan_in = self.weight[0, 0].numel()
        return (self.weight - mean) / ((std + BTM_EPSILON) * fan_in**0.5)


class BBCU(_Shifted):
    """BBCU (Xia et al., ICLR 2023): `k x + RPReLU(s (sign(k x + b) * sign(W)))`, divided by k.

    Residual alignment, `k = 130 C / 64`: images in 0 to 1 are small beside a sum of signs. The paper
    multiplies the image and divides the result of the whole network; around every unit it is the same up to
    the affines between them, which are linear.
    """

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign above a learnable threshold, with triangular gradient."""
        return triangle_sign(x + spread(self.shift))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        amplification = BBCU_AMPLIFICATION * self.channels
        return x + self.rprelu(self.convolution(amplification * x)) / amplification


class BiSRNet(_Shifted):
    """BiSR-Conv (Cai et al., NeurIPS 2023): `x + RPReLU(s (sign(k x + b) * sign(W)))`.

    Spectral redistribution `k x + b` is learnable per channel; its sign has the gradient of
    `tanh(a (k x + b))` with a learnable `a` per unit, which learns through it as well.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.stretch = self.per_channel(1.0)
        self.sharpness = torch.nn.Parameter(torch.ones(sub_bands, 1))

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign of the redistributed input."""
        moved = x * spread(self.stretch) + spread(self.shift)
        return sign_with_gradient_of(moved, torch.tanh(spread(self.sharpness) * moved))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return x + self.rprelu(self.convolution(x))
