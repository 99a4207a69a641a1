"""Parts that the compared binarizers share."""

from __future__ import annotations

import torch
from torch import nn

from bnnpan.model.binarize import clipped_sign, triangle_sign
from bnnpan.model.unit import SubBandUnit, filter_scale, latent_weight, sign_convolution, spread


class BinaryUnit(SubBandUnit):
    """Sign of the activation, sign of the weight, their convolution, a scale per filter.

    The scale is a constant to the gradient, so that `dL/dW = scale * dL/d(scale sign W) * dsign/dW`. Public
    code of several methods leaves the factor `scale` out; to Adam, which divides by the gradient's own size,
    it makes no difference.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.weight = latent_weight(sub_bands, channels)

    def binary_weights(self) -> tuple[nn.Parameter, ...]:
        """All convolution weights."""
        return (self.weight,)

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """-1 and +1, same shape as `x`."""
        return triangle_sign(x)

    def weight_signs(self) -> torch.Tensor:
        """-1 and +1, `(sub_bands, channels, channels, 3, 3)`."""
        return clipped_sign(self.weight)

    def scale(self) -> torch.Tensor:
        """Factor per filter, `(sub_bands, channels)`."""
        return filter_scale(self.weight)

    def convolution(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled sums of signs; same shape as `x`."""
        return sign_convolution(self.activation_signs(x), self.weight_signs()) * spread(self.scale())


class SubBandBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of every channel of every sub-band, `(n, sub_bands, channels, h, w)`."""

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as `x`."""
        return super().forward(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
