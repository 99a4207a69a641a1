"""What every 3x3 convolution unit of the trunk shares, whichever way it makes its signs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_FAST_BFLOAT16_ON_CPU = torch.backends.mkldnn.is_available() and bool(
    torch.ops.mkldnn._is_mkldnn_bf16_supported()
)
"""A CPU without instructions for it takes many times longer. Asked once here: a compiled graph cannot ask."""


class SubBandUnit(nn.Module):
    """A 3x3 convolution unit with weights of its own for each sub-band, residual included.

    `forward` maps `(n, sub_bands, channels, h, w)` to the same shape. Signs enter the convolution through
    `sign_convolution`, so that activations and weights are -1 and +1 and nothing else.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__()
        self.sub_bands, self.channels = sub_bands, channels

    def binary_weights(self) -> tuple[nn.Parameter, ...]:
        """Latent weights of which only the signs are kept: one bit each once trained."""
        return ()

    def set_progress(self, share: float) -> None:
        """Follow the training's progress, 0 to 1; of the gradient only, so nothing needs to be stored."""

    def per_channel(self, value: float) -> nn.Parameter:
        """A parameter `(sub_bands, channels)`."""
        return nn.Parameter(torch.full((self.sub_bands, self.channels), value))


def latent_weight(groups: int, channels: int) -> nn.Parameter:
    """Weights `(groups, channels, channels, 3, 3)`, uniform within the inverse root of the fan-in."""
    weight = nn.Parameter(torch.empty(groups, channels, channels, 3, 3))
    bound = (9 * channels) ** -0.5
    nn.init.uniform_(weight, -bound, bound)
    return weight


def filter_scale(weight: torch.Tensor) -> torch.Tensor:
    """Mean magnitude of each filter, `(groups, channels)`, a constant to the gradient (XNOR-Net, Eq. 6)."""
    return weight.abs().mean((2, 3, 4)).detach()


def sign_convolution(signs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sums of 9C signs, zero padded: `(n, groups, C, h, w)` with `(groups, C, C, 3, 3)`, both -1 and +1."""
    channels = weight.shape[1]
    # bfloat16, where native, has the fastest convolution and holds whole numbers up to 256, even ones up
    # to 512. The sum of 9C signs is even if C is, at the zero-padded border too.
    exact = 9 * channels <= (256 if channels % 2 else 512)
    native = signs.device.type != "cpu" or _FAST_BFLOAT16_ON_CPU
    fast = signs.dtype == torch.float32 and exact and native
    dtype = torch.bfloat16 if fast else signs.dtype
    return grouped_convolution(signs.to(dtype), weight.to(dtype)).to(signs.dtype)


def grouped_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """One zero-padded 3x3 convolution per group, `(n, groups, C, h, w)` with `(groups, C, C, 3, 3)`."""
    groups, channels = weight.shape[:2]
    flat = F.conv2d(x.flatten(1, 2), weight.flatten(0, 1), padding=1, groups=groups)
    return flat.unflatten(1, (groups, channels))


def rprelu(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, zeta: torch.Tensor) -> torch.Tensor:
    """PReLU of slope `beta` around `(gamma, zeta)`, as in ReActNet; parameters `(sub_bands, channels)`."""
    moved = x - spread(gamma)
    return torch.where(moved > 0, moved, spread(beta) * moved) + spread(zeta)


def spread(parameter: torch.Tensor) -> torch.Tensor:
    """`(sub_bands, channels)` to `(1, sub_bands, channels, 1, 1)`."""
    return parameter[None, :, :, None, None]
