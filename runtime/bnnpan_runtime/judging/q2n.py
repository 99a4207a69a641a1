"""Q2n (Garzelli and Nencini, 2009) of image blocks, from nothing but their means and covariances.

Bands are the components of hypercomplex numbers, filled up to a power of two, and normalised by mean and
deviation of the reference, as in DLPan-Toolbox. No product of matrices: its last bits depend on a processor.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["q2n"]

Float64 = NDArray[np.float64]


def q2n(means: tuple[Float64, Float64], variances: tuple[Float64, Float64], covariances: Float64) -> Float64:
    """Modulus of each block's Q, `(blocks,)`; 1 where the images are equal.

    Means and variances of reference and image, `(bands, blocks)`, and the covariances of each band of the
    reference with each of the image, `(bands, bands, blocks)`. No band of the reference may be flat.
    """
    bands, blocks = means[0].shape
    components = 1 << (bands - 1).bit_length()
    deviation = np.sqrt(variances[0])
    # Normalised, the reference has mean 1 and variance 1 in each band; what fills up is 1 in both.
    power = np.full(blocks, float(components - bands))
    for band in range(bands):
        power += ((means[1][band] - means[0][band]) / deviation[band] + 1) ** 2
    bias = 2 * np.sqrt(components * power) / (components + power)
    spread = np.full(blocks, float(bands))
    for band in range(bands):
        spread += variances[1][band] / variances[0][band]
    product = np.zeros((components, blocks))
    for first, second, unit, sign in _conjugate_products(components):
        if first < bands and second < bands:
            product[unit] += sign * covariances[first, second] / (deviation[first] * deviation[second])
    modulus = np.zeros(blocks)
    for component in product:
        modulus += component**2
    return np.asarray(bias * 2 * np.sqrt(modulus) / spread)


@lru_cache(maxsize=8)
def _conjugate_products(components: int) -> tuple[tuple[int, int, int, int], ...]:
    """Unit i times the conjugate of unit j as unit k with a sign: all `(i, j, k, sign)`."""
    products = []
    for first in range(components):
        for second in range(components):
            unit, sign = _product(first, second, components)
            products.append((first, second, unit, sign if second == 0 else -sign))
    return tuple(products)


def _product(first: int, second: int, components: int) -> tuple[int, int]:
    """Unit and sign of a product of two units, by Cayley and Dickson in the toolbox's order of factors.

    `(a, b)(c, d) = (a c - d* b, a* d* + c b*)`, where * is the conjugate.
    """
    if components == 1:
        return 0, 1
    half = components // 2
    left, right = first % half, second % half
    of_left, of_right = (-1 if left else 1), (-1 if right else 1)  # conjugation turns all units but the first
    if first < half and second < half:
        return _product(left, right, half)
    if first >= half and second >= half:
        unit, sign = _product(right, left, half)
        return unit, -sign * of_right
    if first < half:
        unit, sign = _product(left, right, half)
        return unit + half, sign * of_left * of_right
    unit, sign = _product(right, left, half)
    return unit + half, sign * of_left
