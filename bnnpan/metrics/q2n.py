"""Q2n (Garzelli and Nencini, 2009): Wang and Bovik's Q of all bands at once, as hypercomplex numbers.

The definition of DLPan-Toolbox (`q2n.m`, `onions_quality.m`): data rounded to uint16, image mirrored to whole
blocks, each block normalised by mean and deviation of the *reference*, sample statistics (N - 1). Q4 and Q8
are its names for four and eight bands.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan.metrics.blocks import BLOCK, blocks, whole_blocks

__all__ = ["q2n"]

Array = NDArray[np.float64]
_EPSILON = np.finfo(np.float64).eps  # MATLAB's eps, which stands in for a deviation of 0


def q2n(reference: Array, fused: Array, side: int = BLOCK, valid: NDArray[np.bool_] | None = None) -> float:
    """Mean modulus of the blocks' quality, 1 for equal images; images `(bands, height, width)` in DN.

    Bands are filled up with zeros to a power of two. With a mask, only blocks without an invalid pixel
    count; NaN if there is none.
    """
    reference, fused = _mirrored(_rounded(reference), side), _mirrored(_rounded(fused), side)
    strips = zip(_strips(reference, side), _strips(fused, side), strict=True)
    moduli = np.concatenate([_block_moduli(blocks(one, side), blocks(two, side)) for one, two in strips])
    if valid is not None:
        moduli = moduli[whole_blocks(_mirrored(valid[None], side)[0], side)]
    return float(moduli.mean()) if moduli.size else float("nan")


def _rounded(image: Array) -> Array:
    """As MATLAB's uint16(): halves away from zero, negatives to 0, saturating; bands to a power of two."""
    whole = np.floor(image)
    whole += image - whole >= 0.5
    components = 1 << (len(image) - 1).bit_length()
    return np.pad(np.clip(whole, 0, 65535), ((0, components - len(image)), (0, 0), (0, 0)))


def _mirrored(image: NDArray[Any], side: int) -> NDArray[Any]:
    """`image` continued below and to the right to whole blocks, outermost pixel repeated first."""
    return np.pad(image, [(0, 0), *((0, -size % side) for size in image.shape[1:])], mode="symmetric")


def _strips(image: Array, side: int) -> Iterator[Array]:
    """Rows of blocks, which stay within the processor's cache."""
    return (image[:, row : row + side] for row in range(0, image.shape[1], side))


def _block_moduli(reference: Array, fused: Array) -> Array:
    """Quality of every block, `(blocks,)`, from `(components, blocks, pixels)`."""
    mean = reference.mean(axis=-1, keepdims=True)
    deviation = reference.std(axis=-1, ddof=1, keepdims=True)
    deviation[deviation == 0] = _EPSILON
    first = (reference - mean) / deviation + 1
    second = np.where(mean == 0, fused + 1, (fused - mean) / deviation + 1)

    first_mean, second_mean = first.mean(axis=-1, keepdims=True), second.mean(axis=-1, keepdims=True)
    first_power, second_power = (first_mean**2).sum(axis=0)[:, 0], (second_mean**2).sum(axis=0)[:, 0]
    bias = 2 * np.sqrt(first_power * second_power) / (first_power + second_power)

    first, second = first - first_mean, second - second_mean
    freedom = first.shape[-1] - 1
    covariance = np.matmul(first.transpose(1, 0, 2), second.transpose(1, 2, 0)) / freedom
    variance = ((first**2).sum(axis=(0, 2)) + (second**2).sum(axis=(0, 2))) / freedom
    hypercomplex = np.tensordot(covariance, _conjugate_products(len(first)), 2)
    modulus = np.sqrt((hypercomplex**2).sum(axis=-1))
    flat = variance == 0
    return np.asarray(bias * np.where(flat, 1.0, 2 * modulus / np.where(flat, 1.0, variance)))


@lru_cache(maxsize=8)
def _conjugate_products(components: int) -> Array:
    """`(components, components, components)`: unit i times the conjugate of unit j, for every i and j.

    With it, the hypercomplex covariance of two images follows from the covariances of their components.
    """
    units = np.eye(components)
    return np.array([[_product(one, _conjugate(two)) for two in units] for one in units])


def _conjugate(number: Array) -> Array:
    return np.concatenate([number[:1], -number[1:]])


def _product(left: Array, right: Array) -> Array:
    """Cayley-Dickson product over the first axis, in the toolbox's order of factors."""
    half = len(left) // 2
    if half == 0:
        return left * right
    a, b = left[:half], _conjugate(left[half:])
    c, d = right[:half], _conjugate(right[half:])
    upper = _product(a, c) - _product(d, _conjugate(b))
    lower = _product(_conjugate(a), d) + _product(c, b)
    return np.concatenate([upper, lower])
