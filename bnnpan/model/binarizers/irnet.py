"""IR-Net: balanced weights and a gradient that sharpens while training."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bnnpan.model.binarize import sign_with_gradient_of
from bnnpan.model.binarizers.base import BinaryUnit, SubBandBatchNorm

FIRST_SHARPNESS, LAST_SHARPNESS = 1e-3, 1e1
"""Ends of t over the training, evenly spaced in its logarithm (htqin/IR-Net, CIFAR-10 trainer)."""


class IRNet(BinaryUnit):
    """IR-Net (Qin et al., CVPR 2020): `Hardtanh(x + BN(2^s (sign(x) * sign(V))))`.

    Libra-PB: `V = (W - mean(W)) / std(W)` per filter, `s = round(log2 mean|V|)`. EDE: both signs have
    the gradient of `k tanh(t x)`, `k = max(1 / t, 1)`, from nearly the identity at the
    start of training to nearly the sign at its end; `set_progress` moves it.
    """

    sharpness: torch.Tensor
    """t."""

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.batch_norm = SubBandBatchNorm(sub_bands, channels)
        self.register_buffer("sharpness", torch.tensor(FIRST_SHARPNESS), persistent=False)

    def set_progress(self, share: float) -> None:
        """EDE's schedule: t from 0.001 to 10."""
        self.sharpness.fill_(FIRST_SHARPNESS * (LAST_SHARPNESS / FIRST_SHARPNESS) ** share)

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign with EDE's gradient."""
        return self._sign(x)

    def weight_signs(self) -> torch.Tensor:
        """Sign of the balanced weights, with EDE's gradient."""
        return self._sign(self._balanced())

    def scale(self) -> torch.Tensor:
        """Power of two nearest to the mean magnitude of the balanced filter."""
        return self._balanced().detach().abs().mean((2, 3, 4)).log2().round().exp2()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return F.hardtanh(x + self.batch_norm(self.convolution(x)))

    def _balanced(self) -> torch.Tensor:
        std, mean = torch.std_mean(self.weight, (2, 3, 4), keepdim=True)
        return (self.weight - mean) / std

    def _sign(self, x: torch.Tensor) -> torch.Tensor:
        height = (1 / self.sharpness).clamp_min(1)
        return sign_with_gradient_of(x, height * torch.tanh(self.sharpness * x))
