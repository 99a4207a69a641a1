"""The first binary networks: BNN and XNOR-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bnnpan.model.binarize import clipped_sign, sign_with_gradient_of
from bnnpan.model.binarizers.base import BinaryUnit, SubBandBatchNorm
from bnnpan.model.unit import sign_convolution


class BNN(BinaryUnit):
    """BNN (Hubara et al., NeurIPS 2016): `x + Hardtanh(BN(sign(x) * sign(W)))`, no scale.

    Both signs have the gradient 1 within -1 and +1 (section 1.3). The shortcut is not in the paper; it is how
    BiSRNet's authors use BNN for images (caiyuanhao1998/BiSCI).
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.batch_norm = SubBandBatchNorm(sub_bands, channels)

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign with clipped gradient."""
        return clipped_sign(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        sums = sign_convolution(self.activation_signs(x), self.weight_signs())
        return x + F.hardtanh(self.batch_norm(sums))


class XNORNet(BinaryUnit):
    """XNOR-Net (Rastegari et al., ECCV 2016): `x + (sign(z) * sign(W)) K alpha` with `z = BN(x)`.

    `alpha` is the mean magnitude of a filter (Eq. 6), `K` the 3x3 box mean of the channels' mean magnitude
    (section 3.2), zero padded like the convolution. The gradient of `alpha sign(W)` is
    `1 / n + alpha [|W| <= 1]` with n weights per filter (section 3.1); that of `K` is taken as written.
    Normalisation before the sign is the paper's order of layers; the shortcut is ours, as the paper's ResNet
    has it.
    """

    def __init__(self, sub_bands: int, channels: int) -> None:
        super().__init__(sub_bands, channels)
        self.batch_norm = SubBandBatchNorm(sub_bands, channels)

    def activation_signs(self, x: torch.Tensor) -> torch.Tensor:
        """Sign with clipped gradient."""
        return clipped_sign(x)

    def weight_signs(self) -> torch.Tensor:
        """Sign whose gradient, once multiplied by `alpha`, is the paper's."""
        alpha = self.scale()[..., None, None, None]
        own_share = self.weight / (self.weight[0, 0].numel() * alpha)
        return sign_with_gradient_of(self.weight, self.weight.clamp(-1, 1) + own_share)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map sub-bands to the same shape."""
        z = self.batch_norm(x)
        size = F.avg_pool2d(z.abs().mean(2), 3, stride=1, padding=1)  # K: zeros outside count
        return x + self.convolution(z) * size.unsqueeze(2)
