"""S2B-Conv: spectral redistribution that follows the image, and Gabor filters before the sign."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from bnnpan.model.binarize import triangle_sign
from bnnpan.model.binarizers.base import BinaryUnit
from bnnpan.model.unit import rprelu

FREQUENCIES = (0.1, 0.4)
"""Range of the Gabor frequencies in cycles per pixel; 0.5 is the limit of the grid."""

ENVELOPE, ASPECT = 1.0, 0.5
"""Width of the Gaussian in pixels and its ratio across to along the wave."""

REDUCTION = 4


class S2BConv(BinaryUnit):
    """S2B-Conv of S2BNet (Jiang et al., arXiv:2509.23321): `x + RPReLU(s (sign(GSFA(SRM(x))) * sign(W)))`.

    Only the abstract and summaries were open to us: SRM is an affine whose bounded scale and bias are
    generated from the data, GSFA uses Gabor kernels of random frequency and angle, with residual and RPReLU.
    All else is our reading. SRM: `k x + b` per image and channel, `k = 1 + tanh(u)`, `b = tanh(v)`, with u, v
    of two linear layers on the channel means, zero at the start. GSFA: `y + G * y` with one Gabor kernel per
    channel, drawn once from torch's generator, scaled to a magnitude sum of 1. Sign gradients as in BBCU.

    SRM looks at the whole image: a network with it has no frozen form that is local.
    """

    gabor: torch.Tensor
    """Kernels `(sub_bands, channels, 3, 3)`, kept with the weights."""

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        hidden = max(1, channels // REDUCTION)
        self.squeeze = nn.Parameter(torch.empty(sub_bands, hidden, channels))
        nn.init.uniform_(self.squeeze, -(channels**-0.5), channels**-0.5)
        self.excite = nn.Parameter(torch.zeros(sub_bands, 2 * channels, hidden))
        self.gamma, self.beta, self.zeta = (self.per_channel(value) for value in (0.0, 0.25, 0.0))
        low, high = FREQUENCIES
        frequency = low + (high - low) * torch.rand(sub_bands, channels)
        self.register_buffer("gabor", gabor_kernels(frequency, math.pi * torch.rand(sub_bands, channels)))

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign of the redistributed and amplified input."""
        return triangle_sign(self._amplify(self._redistribute(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        return x + rprelu(self.convolution(x), self.gamma, self.beta, self.zeta)

    def _redistribute(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((3, 4)).unsqueeze(-1)
        stretch, offset = torch.tanh(self.excite @ F.relu(self.squeeze @ means)).chunk(2, 2)
        return x * (1 + stretch.unsqueeze(-1)) + offset.unsqueeze(-1)

    def _amplify(self, x: torch.Tensor) -> torch.Tensor:
        kernels = self.gabor.flatten(0, 1).unsqueeze(1)
        filtered = F.conv2d(x.flatten(1, 2), kernels, padding=1, groups=len(kernels))
        return x + filtered.reshape_as(x)


def gabor_kernels(frequency: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Cosine Gabor kernels `(..., 3, 3)` of magnitude sum 1; cycles per pixel and radians."""
    offsets = torch.arange(-1.0, 2.0)
    frequency, angle = frequency[..., None, None], angle[..., None, None]
    along = offsets * angle.cos() + offsets[:, None] * angle.sin()
    across = -offsets * angle.sin() + offsets[:, None] * angle.cos()
    envelope = torch.exp(-(along.square() + (ASPECT * across).square()) / (2 * ENVELOPE**2))
    kernel = envelope * torch.cos(2 * math.pi * frequency * along)
    return kernel / kernel.abs().sum((-2, -1), keepdim=True)
