"""Normalised binary convolution: the 1-bit unit of the trunk (Fig. 4 and Eq. 3 to 6 of the paper)."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bnnpan.model.binarize import SignActivation, SignWeight
from bnnpan.model.wavelet import SUB_BANDS

NORM_EPSILON = 1e-6
"""Added to both variances; the paper prints none."""

WINDOW_MOMENTUM = 0.05
SMALLEST_WINDOW = 1e-4


class SubBandNBC(nn.Module):
    """Four NBC units, one per Haar sub-band, each with weights of its own.

    Per sub-band, in this order: threshold, sign, binary 3x3 convolution (zero padding, scaled by the mean
    magnitude of the filter), RPReLU, normalisation to the per-pixel channel statistics of the input,
    plus the input.
    """

    window: torch.Tensor
    """Width of the activation's gradient, `(4, channels)`; follows the data while training."""

    def __init__(self, channels: int, norm_lambda: float) -> None:
        super().__init__()
        bands = len(SUB_BANDS)

        def per_channel(value: float) -> nn.Parameter:
            return nn.Parameter(torch.full((bands, channels), value))

        self.channels = channels
        self.weight = nn.Parameter(torch.empty(bands, channels, channels, 3, 3))
        bound = (9 * channels) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        self.shift = per_channel(0.0)
        self.gamma, self.beta, self.zeta = per_channel(0.0), per_channel(0.25), per_channel(0.0)
        self.lambda_, self.phi, self.eta = per_channel(norm_lambda), per_channel(0.0), per_channel(0.0)
        self.register_buffer("window", torch.ones(bands, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands `(n, 4, channels, h, w)` to the same shape."""
        y = _rprelu(self.binary_convolution(x), *map(_spread, (self.gamma, self.beta, self.zeta)))
        return x + self._normalise(y, x)

    def filter_scale(self) -> torch.Tensor:
        """Mean magnitude of each filter, `(4, channels)`."""
        return self.weight.abs().mean((2, 3, 4)).detach()

    def binary_convolution(self, x: torch.Tensor) -> torch.Tensor:
        """Integer sum of 9C signs times the filter scale; `(n, 4, channels, h, w)`."""
        n, bands, channels, h, w = x.shape
        shifted = x + _spread(self.shift)
        if self.training:
            self._follow(shifted)
        bits = SignActivation.apply(shifted, _spread(self.window)).reshape(n, bands * channels, h, w)
        weight = SignWeight.apply(self.weight).reshape(bands * channels, channels, 3, 3)
        # bfloat16, where native, has the fastest convolution and holds whole numbers up to 256, even ones up
        # to 512. The sum of 9C signs is even if C is, at the zero-padded border too.
        exact = 9 * channels <= (256 if channels % 2 else 512)
        fast = x.dtype == torch.float32 and exact and _has_bfloat16(x.device)
        dtype = torch.bfloat16 if fast else x.dtype
        sums = F.conv2d(bits.to(dtype), weight.to(dtype), padding=1, groups=bands).to(x.dtype)
        return sums.reshape(x.shape) * _spread(self.filter_scale())

    def _normalise(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x_variance, x_mean = torch.var_mean(x, 2, correction=0, keepdim=True)
        y_variance, y_mean = torch.var_mean(y, 2, correction=0, keepdim=True)
        gain = ((x_variance + NORM_EPSILON) / (y_variance + NORM_EPSILON)).sqrt()
        centred = y - y_mean - _spread(self.phi)
        return gain * centred / _spread(self.lambda_) + x_mean + _spread(self.eta)

    @torch.no_grad()
    def _follow(self, shifted: torch.Tensor) -> None:
        size = 2 * shifted.square().mean((0, 3, 4)).sqrt().clamp_min(SMALLEST_WINDOW)
        self.window.lerp_(size, WINDOW_MOMENTUM)


def _rprelu(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, zeta: torch.Tensor) -> torch.Tensor:
    moved = x - gamma
    return torch.where(moved > 0, moved, beta * moved) + zeta


def _spread(parameter: torch.Tensor) -> torch.Tensor:
    """`(4, channels)` to `(1, 4, channels, 1, 1)`."""
    return parameter[None, :, :, None, None]


@cache
def _has_bfloat16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 are fast; a CPU without such instructions takes many times longer."""
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
