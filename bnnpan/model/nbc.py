"""Normalised binary convolution: the 1-bit unit of the trunk (Fig. 4 and Eq. 3 to 6 of the paper)."""

from __future__ import annotations

import torch
from torch import nn

from bnnpan.model.binarize import SignActivation, SignWeight
from bnnpan.model.processes import mean_over_processes
from bnnpan.model.unit import (
    SubBandUnit,
    filter_scale,
    grouped_convolution,
    latent_weight,
    rprelu,
    sign_convolution,
    spread,
)
from bnnpan.model.wavelet import SUB_BANDS

NORM_EPSILON = 1e-6
"""Added to both variances; the paper prints none."""

WINDOW_MOMENTUM = 0.05
SMALLEST_WINDOW = 1e-4


class SubBandNBC(SubBandUnit):
    """NBC units, one per Haar sub-band, each with weights of its own.

    Per sub-band, in this order: threshold, sign, binary 3x3 convolution (zero padding, scaled by the mean
    magnitude of the filter), RPReLU, normalisation to the per-pixel channel statistics of the input (unless
    `norm` is off), plus the input. While training, the window of the sign's gradient narrows to
    `final_window` times the one that follows the data.
    """

    window: torch.Tensor
    """Width of the activation's gradient, `(sub_bands, channels)`; follows the data while training."""

    narrowing: torch.Tensor
    """Factor on the window, from 1 at the start of training."""

    def __init__(
        self,
        channels: int,
        norm_lambda: float,
        sub_bands: int = len(SUB_BANDS),
        norm: bool = True,
        final_window: float = 1.0,
    ) -> None:
        super().__init__(sub_bands, channels)
        self.norm, self.final_window = norm, final_window
        self.weight = latent_weight(sub_bands, channels)
        self.shift = self.per_channel(0.0)
        self.gamma, self.beta, self.zeta = (self.per_channel(value) for value in (0.0, 0.25, 0.0))
        if norm:
            self.lambda_, self.phi, self.eta = (self.per_channel(value) for value in (norm_lambda, 0.0, 0.0))
        self.register_buffer("window", torch.ones(sub_bands, channels))
        self.register_buffer("narrowing", torch.ones(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands `(n, sub_bands, channels, h, w)` to the same shape."""
        y = rprelu(self.convolution(x), self.gamma, self.beta, self.zeta)
        return x + (self._normalise(y, x) if self.norm else y)

    def binary_weights(self) -> tuple[nn.Parameter, ...]:
        """All convolution weights."""
        return (self.weight,)

    def set_progress(self, share: float) -> None:
        """Narrow the window geometrically: progressive gradients of the sign, as FABNet and IR-Net have."""
        self.narrowing.fill_(self.final_window**share)

    def filter_scale(self) -> torch.Tensor:
        """Mean magnitude of each filter, `(sub_bands, channels)`."""
        return filter_scale(self.weight)

    def convolution(self, x: torch.Tensor) -> torch.Tensor:
        """What the unit computes before RPReLU; same shape as `x`."""
        return self.binary_convolution(x)

    def binary_convolution(self, x: torch.Tensor) -> torch.Tensor:
        """Integer sum of 9C signs times the filter scale; same shape as `x`."""
        shifted = x + spread(self.shift)
        if self.training:
            self._follow(shifted)
        bits = SignActivation.apply(shifted, spread(self.window * self.narrowing))
        return sign_convolution(bits, SignWeight.apply(self.weight)) * spread(self.filter_scale())

    def _normalise(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x_variance, x_mean = torch.var_mean(x, 2, correction=0, keepdim=True)
        y_variance, y_mean = torch.var_mean(y, 2, correction=0, keepdim=True)
        gain = ((x_variance + NORM_EPSILON) / (y_variance + NORM_EPSILON)).sqrt()
        centred = y - y_mean - spread(self.phi)
        return gain * centred / spread(self.lambda_) + x_mean + spread(self.eta)

    @torch.no_grad()
    def _follow(self, shifted: torch.Tensor) -> None:
        power = mean_over_processes(shifted.square().mean((0, 3, 4)))
        self.window.lerp_(2 * power.sqrt().clamp_min(SMALLEST_WINDOW), WINDOW_MOMENTUM)


class FullPrecisionNBC(SubBandNBC):
    """The full-precision twin: real weights and activations, all else as in `SubBandNBC`.

    Names and shapes of its tensors are those of the binary unit, so that either can start from the other.
    The shift is a constant added to the input; the window is not used.
    """

    def binary_weights(self) -> tuple[nn.Parameter, ...]:
        """None: every weight is real."""
        return ()

    def convolution(self, x: torch.Tensor) -> torch.Tensor:
        """Real convolution of the shifted input, with no scale besides its weights'."""
        return grouped_convolution(x + spread(self.shift), self.weight)
