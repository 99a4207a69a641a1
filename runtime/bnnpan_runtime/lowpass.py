"""Gaussian low-pass filters given by their gain at the Nyquist frequency, as cameras' MTFs are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["blur", "gaussian_taps", "reach", "sample"]

Float32 = NDArray[np.float32]


def gaussian_taps(gain: float, ratio: int) -> tuple[float, ...]:
    """Taps of a Gaussian with `gain` at the Nyquist frequency of every `ratio`-th sample.

    `ratio + 2 * reach` taps of sum 1, symmetric about the centre of `ratio` samples, at least four deviations
    to either side: `exp(-2 (pi sigma f)**2) = gain` at `f = 1 / (2 ratio)`. Rounded, so that they do not
    depend on a machine's exponential function.
    """
    sigma = ratio * math.sqrt(-2 * math.log(gain)) / math.pi
    side = math.ceil(4 * sigma - ratio / 2)
    middle = (ratio + 2 * side - 1) / 2
    weights = [math.exp(-(((k - middle) / sigma) ** 2) / 2) for k in range(ratio + 2 * side)]
    return tuple(round(weight / sum(weights), 7) for weight in weights)


def reach(taps: tuple[float, ...], ratio: int) -> int:
    """Samples that `taps` use beyond either side of the `ratio` samples they are centred on."""
    return (len(taps) - ratio) // 2


def blur(plane: Float32, taps: tuple[float, ...]) -> Float32:
    """Filter `(height, width)` along both axes, odd number of taps; `len(taps) - 1` smaller: no padding."""
    return _blur_rows(_blur_rows(plane, taps).T, taps).T


def sample(plane: Float32, taps: tuple[float, ...], ratio: int) -> Float32:
    """Filter `(height, width)` along both axes and keep every `ratio`-th value; no padding.

    The first value is centred on samples `reach` to `reach + ratio - 1`: with the true centres of larger
    pixels.
    """
    return _sample_rows(_sample_rows(plane, taps, ratio).T, taps, ratio).T


def _blur_rows(plane: Float32, taps: tuple[float, ...]) -> Float32:
    count, middle = plane.shape[0] - len(taps) + 1, len(taps) // 2
    result = plane[middle : middle + count] * np.float32(taps[middle])
    for k in range(middle):
        pair = plane[k : k + count] + plane[len(taps) - 1 - k : len(taps) - 1 - k + count]
        pair *= np.float32(taps[k])
        result += pair
    return result


def _sample_rows(plane: Float32, taps: tuple[float, ...], ratio: int) -> Float32:
    count = (plane.shape[0] - len(taps)) // ratio + 1
    result = np.zeros((count, plane.shape[1]), np.float32)
    for k, weight in enumerate(taps):
        result += plane[k : k + (count - 1) * ratio + 1 : ratio] * np.float32(weight)
    return result
