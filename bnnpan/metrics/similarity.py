"""Window-wise similarity of single bands: Q (Wang and Bovik, 2002) and SSIM (Wang et al., 2004).

Both slide their window pixel by pixel and look only at windows inside the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, minimum_filter

from bnnpan.metrics.blocks import BLOCK

__all__ = ["average_q", "ssim"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SSIM_SIDE, _SSIM_DEVIATION = 11, 1.5  # pixels
_SSIM_K1, _SSIM_K2 = 0.01, 0.03


def average_q(reference: Array, fused: Array, side: int = BLOCK, valid: Mask | None = None) -> float:
    """Q of every `side` x `side` window, averaged over windows, then bands: the toolbox's `Q.m`.

    Images are `(bands, height, width)`. With a mask only windows without an invalid pixel count; NaN if there
    is none.
    """
    first_mean, second_mean, first_power, second_power, cross = _windows(
        reference, fused, np.full(side, 1 / side)
    )
    product, squares = first_mean * second_mean, first_mean**2 + second_mean**2
    covariance, variance = cross - product, first_power + second_power - squares
    quality = np.ones_like(product)  # two black windows are alike
    flat = (variance == 0) & (squares != 0)
    quality[flat] = 2 * product[flat] / squares[flat]
    usual = variance * squares != 0
    quality[usual] = 4 * covariance[usual] * product[usual] / (variance[usual] * squares[usual])
    return _mean_of_windows(quality, side, valid)


def ssim(reference: Array, fused: Array, peak: float, valid: Mask | None = None) -> float:
    """Structural similarity, averaged over windows, then bands; `peak` is the largest DN.

    The original's Gaussian window (11 x 11, deviation 1.5), constants (0.01, 0.03) and population statistics.
    Masked as `average_q`.
    """
    offsets = np.arange(_SSIM_SIDE) - _SSIM_SIDE // 2
    taps = np.exp(-((offsets / _SSIM_DEVIATION) ** 2) / 2)
    first_mean, second_mean, first_power, second_power, cross = _windows(reference, fused, taps / taps.sum())
    product, squares = first_mean * second_mean, first_mean**2 + second_mean**2
    luminance, contrast = (_SSIM_K1 * peak) ** 2, (_SSIM_K2 * peak) ** 2
    similarity = (2 * product + luminance) * (2 * (cross - product) + contrast)
    similarity /= (squares + luminance) * (first_power + second_power - squares + contrast)
    return _mean_of_windows(similarity, _SSIM_SIDE, valid)


def _windows(reference: Array, fused: Array, taps: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Weighted window means of the two images, of their squares and of their product."""
    images = (reference, fused, reference**2, fused**2, reference * fused)
    one, two, three, four, five = (_inside(_filtered(image, taps), len(taps)) for image in images)
    return one, two, three, four, five


def _filtered(image: Array, taps: Array) -> Array:
    return np.asarray(correlate1d(correlate1d(image, taps, axis=-1), taps, axis=-2))


def _inside(image: NDArray[Any], side: int) -> NDArray[Any]:
    """Without the positions whose window of `side` pixels, centred on `side // 2`, leaves the image."""
    before, after = side // 2, (side - 1) // 2
    return image[..., before : image.shape[-2] - after, before : image.shape[-1] - after]


def _mean_of_windows(quality: Array, side: int, valid: Mask | None) -> float:
    if valid is not None:
        quality = quality[:, _inside(minimum_filter(valid, side), side)]
    return float(quality.mean()) if quality.size else float("nan")
