"""Q2n (Garzelli and Nencini, 2009): Wang and Bovik's Q of all bands at once, as hypercomplex numbers.

A port of DLPan-Toolbox's `q2n.m`, `onions_quality.m` and `onion_mult2D.m`: data rounded to uint16, image
mirrored to whole blocks, each block normalised by mean and deviation of the *reference*, sample
statistics (N - 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["q2n"]

Array = NDArray[np.float64]
_EPSILON = np.finfo(np.float64).eps  # MATLAB's eps, which stands in for a deviation of 0


def q2n(reference: Array, fused: Array, block: int = 32, valid: NDArray[np.bool_] | None = None) -> float:
    """Mean modulus of the blocks' quality, 1 for equal images; images `(bands, height, width)` in DN.

    Bands are filled up with zeros to a power of two. With a mask, only blocks without an invalid pixel
    count; NaN if there is none.
    """
    moduli = _block_moduli(_hypercomplex_blocks(reference, block), _hypercomplex_blocks(fused, block))
    if valid is not None:
        moduli = moduli[_blocks(valid[None], block)[0].all(axis=-1)]
    return float(moduli.mean()) if moduli.size else float("nan")


def _hypercomplex_blocks(image: Array, block: int) -> Array:
    """`(components, blocks, pixels)`, rounded as MATLAB's uint16(), components a power of two."""
    rounded = np.clip(np.floor(_blocks(image, block) + 0.5), 0, 65535)
    components = 1 << (len(image) - 1).bit_length()
    return np.pad(rounded, ((0, components - len(image)), (0, 0), (0, 0)))


def _blocks(image: NDArray[Any], block: int) -> NDArray[Any]:
    """`(bands, blocks, pixels)` of `image`, mirrored at its lower and right border to whole blocks."""
    missing = [(0, -size % block) for size in image.shape[1:]]
    whole = np.pad(image, [(0, 0), *missing], mode="symmetric")
    bands, height, width = whole.shape
    tiled = whole.reshape(bands, height // block, block, width // block, block)
    return tiled.transpose(0, 1, 3, 2, 4).reshape(bands, -1, block * block)


def _block_moduli(reference: Array, fused: Array) -> Array:
    """Quality of every block, `(blocks,)`, from `(components, blocks, pixels)`."""
    mean = reference.mean(axis=-1, keepdims=True)
    deviation = reference.std(axis=-1, ddof=1, keepdims=True)
    deviation[deviation == 0] = _EPSILON
    first = (reference - mean) / deviation + 1
    second = _conjugate(np.where(mean == 0, fused + 1, (fused - mean) / deviation + 1))

    unbiased = first.shape[-1] / (first.shape[-1] - 1)
    first_mean, second_mean = first.mean(axis=-1), second.mean(axis=-1)
    first_power, second_power = (first_mean**2).sum(axis=0), (second_mean**2).sum(axis=0)
    energy = (first**2).sum(axis=0).mean(axis=-1) + (second**2).sum(axis=0).mean(axis=-1)
    variance = unbiased * (energy - first_power - second_power)
    bias = 2 * np.sqrt(first_power * second_power) / (first_power + second_power)

    covariance = unbiased * (_product(first, second).mean(axis=-1) - _product(first_mean, second_mean))
    modulus = np.sqrt((covariance**2).sum(axis=0))
    flat = variance == 0
    return np.asarray(bias * np.where(flat, 1.0, 2 * modulus / np.where(flat, 1.0, variance)))


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
