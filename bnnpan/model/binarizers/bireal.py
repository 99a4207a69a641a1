"""Bi-Real Net and what grew out of it: a shortcut around every binary convolution, a better gradient."""

from __future__ import annotations

import torch

from bnnpan.model.binarize import sign_with_gradient_of, triangle_sign
from bnnpan.model.binarizers.base import BinaryUnit, SubBandBatchNorm
from bnnpan.model.unit import rprelu, sign_convolution, spread


class BiRealNet(BinaryUnit):
    """Bi-Real Net (Liu et al., ECCV 2018): `x + BN(s (sign(x) * sign(W)))`.

    The activation's sign has the gradient of their ApproxSign, the triangle `2 - 2|x|`; the weight's is
    clipped, 1 within -1 and +1.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.batch_norm = SubBandBatchNorm(sub_bands, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return x + self.batch_norm(self.convolution(x))


class ReActNet(BiRealNet):
    """ReActNet (Liu et al., ECCV 2020): `RPReLU(x + BN(s (sign(x - a) * sign(W))))`.

    RSign has a learnable threshold `a` per channel, RPReLU a learnable slope and two shifts. Not included:
    the distillation loss of the paper, which is the training's business.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.threshold = self.per_channel(0.0)
        self.gamma, self.beta, self.zeta = (self.per_channel(value) for value in (0.0, 0.25, 0.0))

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """RSign."""
        return triangle_sign(x - spread(self.threshold))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return rprelu(super().forward(x), self.gamma, self.beta, self.zeta)


class E2FIF(BiRealNet):
    """E2FIF (Song et al., IEEE TIP 2023): `x + BN(sign(x) * sign(W))`, no scale, weights' gradient 1.

    Its point is full-precision flow from head to tail, which the shortcuts of this backbone are. The
    LeakyReLU that its blocks have between their two convolutions has no place where a unit has one.
    """

    def weight_signs(self) -> torch.Tensor:
        """Sign with identity gradient."""
        return sign_with_gradient_of(self.weight, self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return x + self.batch_norm(sign_convolution(self.activation_signs(x), self.weight_signs()))
