"""The layers that a calibration needs, in numpy: convolutions, the Haar transform, a block of the trunk.

Features are `(channels, height, width)` float32, in the wavelet domain `(4, channels, height/2, width/2)`
with the sub-bands LL, LH, HL, HH.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.graph.protocol import Float32

__all__ = ["Block", "Convolution", "haar", "inverse_haar"]

NORM_EPSILON = np.float32(1e-6)
"""Added to both variances of the normalisation; that of `bnnpan.model.nbc`."""

_HALF = np.float32(0.5)
_CHANNEL_AXIS = 1


class Convolution:
    """3x3, zero padding, no bias: `(..., inputs, height, width)` to `(..., outputs, height, width)`.

    Weights are `(..., outputs, inputs, 3, 3)`; equal leading axes make groups that do not mix.
    """

    def __init__(self, weight: Float32) -> None:
        # One contiguous matrix per tap, else numpy multiplies without BLAS.
        self._taps = np.ascontiguousarray(np.moveaxis(weight, (-2, -1), (0, 1)), np.float32)

    def __call__(self, x: Float32) -> Float32:
        """Sums over inputs and taps; exact as long as all products are whole numbers.

        One small product per row: for larger ones BLAS would wake threads, of which others decide.
        """
        *groups, _, height, width = x.shape
        padded = np.pad(np.moveaxis(x, -3, -2), [(0, 0)] * len(groups) + [(1, 1), (0, 0), (1, 1)])
        total = np.zeros((*groups, height, self._taps.shape[-2], width), np.float32)
        for row, taps in enumerate(self._taps):
            for col, matrix in enumerate(taps):
                shifted = padded[..., row : row + height, :, col : col + width]
                total += matrix[..., None, :, :] @ shifted
        return np.ascontiguousarray(np.moveaxis(total, -2, -3))


@dataclass(frozen=True)
class Block:
    """One block of the trunk before its affine: four NBC units, and the outer skip where there is one.

    `vectors` are its full-precision parameters `(4, channels, 1, 1)` by their names in `TRUNK_TENSORS`.
    """

    convolution: Convolution
    vectors: Mapping[str, Float32]
    outer_skip: bool

    @classmethod
    def of(cls, weights: Mapping[str, NDArray[Any]], index: int, outer_skip: bool) -> Block:
        """Block `index` of the tensors of `weights_layout`."""
        vectors = {
            name.removeprefix("trunk."): value[index, :, :, None, None]
            for name, value in weights.items()
            if name.startswith("trunk.") and name != "trunk.bits"
        }
        bits = weights["trunk.bits"][index]
        negative = np.unpackbits(bits, axis=-1, count=bits.shape[1], bitorder="little")
        signs = 1 - 2 * np.moveaxis(negative, -1, 2).astype(np.float32)
        return cls(Convolution(signs), vectors, outer_skip)

    def __call__(self, x: Float32) -> Float32:
        """Sub-bands to sub-bands, Eq. 3 to 6 of the paper."""
        one = self.vectors
        signs = np.where(x < -one["shift"], np.float32(-1), np.float32(1))
        branch = self.convolution(signs)
        branch *= one["scale"]
        branch -= one["gamma"]
        branch = np.where(branch > 0, branch, one["beta"] * branch)
        branch += one["zeta"]
        mean = x.mean(_CHANNEL_AXIS, keepdims=True)
        branch -= branch.mean(_CHANNEL_AXIS, keepdims=True)
        gain = np.sqrt(_power(x - mean) / _power(branch))
        branch -= one["phi"]
        branch *= gain
        branch *= one["inverse_lambda"]
        branch += mean
        branch += one["eta"]
        branch += x
        if self.outer_skip:
            branch += x
        return branch


def haar(x: Float32) -> Float32:
    """One-level orthonormal transform."""
    a, b, c, d = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
    top, bottom, top_step, bottom_step = a + b, c + d, a - b, c - d
    sums = (top + bottom, top - bottom, top_step + bottom_step, top_step - bottom_step)
    return np.asarray(_HALF * np.stack(sums))


def inverse_haar(sub_bands: Float32) -> Float32:
    """Exact inverse of `haar`."""
    ll, lh, hl, hh = _HALF * sub_bands
    top, bottom, top_step, bottom_step = ll + lh, ll - lh, hl + hh, hl - hh
    channels, rows, cols = ll.shape
    x = np.empty((channels, 2 * rows, 2 * cols), np.float32)
    x[:, ::2, ::2], x[:, ::2, 1::2] = top + top_step, top - top_step
    x[:, 1::2, ::2], x[:, 1::2, 1::2] = bottom + bottom_step, bottom - bottom_step
    return x


def _power(centred: Float32) -> Float32:
    """Variance over channels of a centred tensor, and epsilon."""
    centred = centred * centred
    return np.asarray(centred.mean(_CHANNEL_AXIS, keepdims=True) + NORM_EPSILON)
