"""The folded network in plain tensor operations: what all engines compute, in the wavelet domain.

A per-channel affine commutes with the Haar transform: its gain multiplies every sub-band, its offset lands
doubled in LL. The inverse transform of one block and the transform of the next then cancel, and the trunk
becomes four independent chains between one transform and one inverse.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bnnpan.model.nbc import NORM_EPSILON
from bnnpan.model.wavelet import haar, inverse_haar
from bnnpan_export.freeze import FrozenNetwork, unpack_signs

__all__ = ["folded_fuse"]


@torch.no_grad()
def folded_fuse(
    network: FrozenNetwork, pan: torch.Tensor, lms: torch.Tensor, affines: torch.Tensor
) -> torch.Tensor:
    """HRMS `(n, bands, h, w)` of PAN, LMS and affines `(blocks, 2, channels)`; in the inputs' float type."""
    tensors = {name: torch.as_tensor(value) for name, value in network.tensors.items()}
    x = haar(F.conv2d(torch.cat([lms, pan], 1), tensors["head.weight"], tensors["head.bias"], padding=1))
    offset_share = torch.tensor([2.0, 0.0, 0.0, 0.0], dtype=x.dtype)[:, None, None, None]
    for block, (gain, offset) in enumerate(affines):
        y = x + _branch(network, tensors, block, x)
        if network.shape.outer_skip:
            y = y + x
        x = y * gain[:, None, None] + offset[:, None, None] * offset_share
    detail = F.conv2d(inverse_haar(x), tensors["tail.weight"], tensors["tail.bias"], padding=1)
    return detail + lms


def _branch(
    network: FrozenNetwork, tensors: dict[str, torch.Tensor], block: int, x: torch.Tensor
) -> torch.Tensor:
    """Everything of the four NBC units but the skip, `(n, 4, channels, h, w)`."""

    def vector(name: str) -> torch.Tensor:
        return tensors[f"trunk.{name}"][block, :, :, None, None]

    channels = network.shape.channels
    signs = torch.where(x + vector("shift") < 0, -1.0, 1.0).to(x.dtype)
    weight = torch.from_numpy(unpack_signs(network["trunk.bits"][block], channels)).to(x.dtype)
    sums = F.conv2d(signs.flatten(1, 2), weight.flatten(0, 1), padding=1, groups=4).reshape(x.shape)
    u = sums * vector("scale") - vector("gamma")
    v = torch.where(u > 0, u, vector("beta") * u) + vector("zeta")
    x_mean, v_mean = x.mean(2, keepdim=True), v.mean(2, keepdim=True)
    x_variance, v_variance = ((t - m).square().mean(2, keepdim=True) for t, m in ((x, x_mean), (v, v_mean)))
    gain = ((x_variance + NORM_EPSILON) / (v_variance + NORM_EPSILON)).sqrt()
    return gain * (v - v_mean - vector("phi")) * vector("inverse_lambda") + x_mean + vector("eta")
