"""The layers between image and product. Features are `(n, channels, height, width)`, sub-bands their Haar."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from bnnpan.model.pibf import STD_EPSILON
from bnnpan.model.wavelet import haar, inverse_haar
from bnnpan_export.graph.cost import Cost
from bnnpan_export.graph.unit import FLOAT_BITS, Unit
from bnnpan_export.weight_bits import Array

__all__ = [
    "Convolution",
    "Haar",
    "InverseHaar",
    "Layer",
    "SceneAffine",
    "SceneState",
    "SceneStatistics",
    "Skip",
    "SubBandAffine",
    "Units",
]


@dataclass(frozen=True)
class SceneState:
    """What is known of a scene: as trained a prior `(1, latent)`, else affines `(blocks, 2, channels)`."""

    prior: torch.Tensor | None = None
    affines: torch.Tensor | None = None


@dataclass(frozen=True)
class Convolution:
    """A full-precision 3x3 convolution with zero padding: "head" or "tail"."""

    name: str
    weight: Array
    bias: Array

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """Another number of channels."""
        return F.conv2d(x, torch.from_numpy(self.weight), torch.from_numpy(self.bias), padding=1)

    def cost(self) -> Cost:
        """Every weight works once per pixel."""
        return Cost(self.weight.size, float_bits=FLOAT_BITS * (self.weight.size + self.bias.size))


@dataclass(frozen=True)
class Haar:
    """To sub-bands LL, LH, HL, HH."""

    channels: int

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """One level, orthonormal."""
        return haar(x)

    def cost(self) -> Cost:
        """Eight additions and four halvings for four pixels."""
        return Cost(other=3 * self.channels)


@dataclass(frozen=True)
class InverseHaar:
    """Back to features."""

    channels: int

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """The exact inverse."""
        return inverse_haar(x)

    def cost(self) -> Cost:
        """That of the transform."""
        return Cost(other=3 * self.channels)


@dataclass(frozen=True)
class Units:
    """The four NBC units of a block."""

    unit: Unit

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """Sub-bands to sub-bands."""
        return self.unit(x)

    def cost(self) -> Cost:
        """That of its parts."""
        return self.unit.cost()


@dataclass(frozen=True)
class Skip:
    """What the inner layers make of the input, plus the input: the outer skip of a block."""

    layers: tuple[Layer, ...]
    channels: int

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """The same shape."""
        y = x
        for layer in self.layers:
            y = layer.run(y, scene)
        return y + x

    def cost(self) -> Cost:
        """An addition more."""
        return sum((layer.cost() for layer in self.layers), Cost(other=self.channels))


@dataclass(frozen=True)
class SceneStatistics:
    """LDPC and CDC as trained: from prior and features of the whole image to an affine, which is applied."""

    block: int
    ldpc_weight: Array
    ldpc_bias: Array
    cdc_weight: Array
    cdc_bias: Array

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """Eq. 8, 17 and 18, with statistics over all pixels of all images."""
        assert scene.prior is not None
        modulation = F.linear(scene.prior, *map(torch.from_numpy, (self.ldpc_weight, self.ldpc_bias)))
        z_w, z_b = modulation.reshape(2, -1, 1, 1)
        y = x * z_w + z_b
        axes = (0, 2, 3)
        mean = y.mean(axes)
        deviation = ((y.square().mean(axes) - mean.square()).clamp_min(0) + STD_EPSILON).sqrt()
        statistics = torch.cat([y.abs().mean(axes), mean, deviation])
        logit = F.linear(statistics, *map(torch.from_numpy, (self.cdc_weight, self.cdc_bias)))
        weight = torch.sigmoid(logit)[:, None, None]
        return x * (1 + weight * z_w) + weight * z_b

    def cost(self) -> Cost:
        """Modulation 2, statistics 4 and the affine 2 per value."""
        tensors = (self.ldpc_weight, self.ldpc_bias, self.cdc_weight, self.cdc_bias)
        return Cost(other=8 * len(self.cdc_bias), float_bits=FLOAT_BITS * sum(t.size for t in tensors))


@dataclass(frozen=True)
class SceneAffine:
    """`gain * x + offset` per channel, frozen once per scene."""

    block: int
    channels: int

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """Features to features."""
        assert scene.affines is not None
        gain, offset = scene.affines[self.block, :, :, None, None]
        return x * gain + offset

    def cost(self) -> Cost:
        """Two per value."""
        return Cost(other=2 * self.channels)


@dataclass(frozen=True)
class SubBandAffine:
    """The same in the wavelet domain: the gain acts on every sub-band, the offset lands doubled in LL."""

    block: int
    channels: int

    def run(self, x: torch.Tensor, scene: SceneState) -> torch.Tensor:
        """Sub-bands to sub-bands."""
        assert scene.affines is not None
        gain, offset = scene.affines[self.block, :, :, None, None]
        share = torch.tensor([2.0, 0.0, 0.0, 0.0], dtype=x.dtype)[:, None, None, None]
        return x * gain + offset * share

    def cost(self) -> Cost:
        """The offset counts for a quarter of the values."""
        return Cost(other=1.25 * self.channels)


Layer = Convolution | Haar | InverseHaar | Units | Skip | SceneStatistics | SceneAffine | SubBandAffine
