"""The four NBC units of a block, on the Haar sub-bands `(n, 4, channels, h, w)`, part by part.

A unit signs its input, convolves it with signs, and sends the sums through an epilogue. Each part has one
form per stage of the export; a pass replaces a part by its next form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bnnpan.model.nbc import NORM_EPSILON
from bnnpan_export.graph.cost import Cost
from bnnpan_export.weight_bits import Array, unpack_signs

__all__ = [
    "Activation",
    "AddThenSign",
    "Compare",
    "Epilogue",
    "LatentWeight",
    "PackedSigns",
    "Signs",
    "TrainedEpilogue",
    "Unit",
    "Weight",
]

FLOAT_BITS = 32
_TAPS = 9


class Activation(Protocol):
    """Maps features to -1 and +1, zero distance from the threshold to +1."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as `x`."""
        ...

    def cost(self) -> Cost:
        """For all four sub-bands."""
        ...


class Weight(Protocol):
    """Where the signs of a 3x3 convolution come from."""

    def signs(self) -> torch.Tensor:
        """-1 and +1, `(4, outputs, inputs, 3, 3)`."""
        ...

    def cost(self) -> Cost:
        """The convolution of all four sub-bands."""
        ...


class AfterConvolution(Protocol):
    """Makes the branch of a unit from the sums of signs."""

    def __call__(self, sums: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What is added to the input `x`; all of one shape."""
        ...

    def cost(self) -> Cost:
        """For all four sub-bands."""
        ...


@dataclass(frozen=True)
class AddThenSign:
    """`sign(x + shift)`, as trained; shift `(4, channels)`."""

    shift: Array

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Signs of the moved features."""
        return _plus_or_minus(x + _spread(self.shift) < 0, x)

    def cost(self) -> Cost:
        """One addition and one comparison."""
        return Cost(other=2 * self.shift.shape[1], float_bits=FLOAT_BITS * self.shift.size)


@dataclass(frozen=True)
class Compare:
    """-1 below the threshold `(4, channels)`, else +1."""

    threshold: Array

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Signs of the distance to the threshold."""
        return _plus_or_minus(x < _spread(self.threshold), x)

    def cost(self) -> Cost:
        """One comparison."""
        return Cost(other=self.threshold.shape[1], float_bits=FLOAT_BITS * self.threshold.size)


@dataclass(frozen=True)
class LatentWeight:
    """Real weights `(4, outputs, inputs, 3, 3)`, used by their signs and the mean size of each filter."""

    values: Array

    def signs(self) -> torch.Tensor:
        """Taken anew at every use."""
        return torch.where(torch.from_numpy(self.values) < 0, -1.0, 1.0)

    def cost(self) -> Cost:
        """As trained: signs in float32, convolved in float32."""
        return Cost(float_macs=_macs(self.values.shape[1]), float_bits=FLOAT_BITS * self.values.size)


@dataclass(frozen=True)
class Signs:
    """-1 and +1 `(4, outputs, inputs, 3, 3)`, a byte each."""

    values: NDArray[np.int8]

    def signs(self) -> torch.Tensor:
        """As they are."""
        return torch.from_numpy(self.values).float()

    def cost(self) -> Cost:
        """Of a binary convolution."""
        return Cost(binary_macs=_macs(self.values.shape[1]), sign_bits=8 * self.values.size)


@dataclass(frozen=True)
class PackedSigns:
    """A bit each, padded to words of 32 inputs: `(4, outputs, 3, 3, bytes)` as `pack_signs` makes them."""

    bits: NDArray[np.uint8]

    def signs(self) -> torch.Tensor:
        """Unpacked."""
        # Contiguous: PyTorch orders its sums by how tensors lie in memory.
        return torch.from_numpy(unpack_signs(self.bits, self.bits.shape[1])).contiguous()

    def cost(self) -> Cost:
        """Of a binary convolution."""
        return Cost(binary_macs=_macs(self.bits.shape[1]), sign_bits=8 * self.bits.size)


@dataclass(frozen=True)
class Epilogue:
    """Scale, RPReLU, normalisation to the channel statistics of the input; parameters `(4, channels)`."""

    scale: Array
    gamma: Array
    beta: Array
    zeta: Array
    inverse_lambda: Array
    phi: Array
    eta: Array

    def __call__(self, sums: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The branch, Eq. 4 to 6."""
        u = sums * _spread(self.scale) - _spread(self.gamma)
        v = torch.where(u > 0, u, _spread(self.beta) * u) + _spread(self.zeta)
        x_mean, v_mean = x.mean(2, keepdim=True), v.mean(2, keepdim=True)
        x_power, v_power = ((t - m).square().mean(2, keepdim=True) for t, m in ((x, x_mean), (v, v_mean)))
        gain = ((x_power + NORM_EPSILON) / (v_power + NORM_EPSILON)).sqrt()
        return (
            gain * (v - v_mean - _spread(self.phi)) * _spread(self.inverse_lambda)
            + x_mean
            + _spread(self.eta)
        )

    def cost(self) -> Cost:
        """Per value: 5 for scale and RPReLU, 3 for either statistics, 5 for the rest; a root per pixel."""
        return Cost(other=16 * self.scale.shape[1] + 4, float_bits=7 * FLOAT_BITS * self.scale.size)


@dataclass(frozen=True)
class TrainedEpilogue:
    """The same as trained: the filter's scale is taken from its weights, lambda divides."""

    weight: Array
    gamma: Array
    beta: Array
    zeta: Array
    lambda_: Array
    phi: Array
    eta: Array

    def folded(self) -> Epilogue:
        """One factor per filter, and lambda's inverse."""
        scale = torch.from_numpy(self.weight).abs().mean((2, 3, 4)).numpy()
        inverse = 1 / self.lambda_
        return Epilogue(scale, self.gamma, self.beta, self.zeta, inverse, self.phi, self.eta)

    def __call__(self, sums: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The branch."""
        return self.folded()(sums, x)

    def cost(self) -> Cost:
        """The scale costs its weights once per use, which do not count per pixel."""
        return Cost(other=16 * self.gamma.shape[1] + 4, float_bits=6 * FLOAT_BITS * self.gamma.size)


@dataclass(frozen=True)
class Unit:
    """Features `(n, 4, channels, h, w)` plus the branch of their unit: one NBC per sub-band."""

    activation: Activation
    weight: Weight
    epilogue: AfterConvolution

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        weight = self.weight.signs().to(x.dtype).flatten(0, 1)
        signs = self.activation(x).flatten(1, 2)
        sums = F.conv2d(signs, weight, padding=1, groups=x.shape[1]).reshape(x.shape)
        return x + self.epilogue(sums, x)

    def cost(self) -> Cost:
        """Of all four sub-bands, the addition of the input included."""
        return self.activation.cost() + self.weight.cost() + self.epilogue.cost()


def _macs(channels: int) -> float:
    """Per PAN pixel: four sub-bands of a quarter of the pixels each."""
    return float(_TAPS * channels * channels)


def _plus_or_minus(negative: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.where(negative, -1.0, 1.0).to(like.dtype)


def _spread(parameter: Array) -> torch.Tensor:
    """`(4, channels)` to `(4, channels, 1, 1)`."""
    return torch.from_numpy(parameter)[:, :, None, None]
