"""The undecimated B3-spline wavelet of GSA and AWLP (Starck et al., 2007)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from bnnpan.baselines.scene import Array

__all__ = ["b3_low_pass"]

_B3_SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def b3_low_pass(image: Array, ratio: int) -> Array:
    """`image` `(height, width)` through the toolbox's `LPfilter.m`: analysis, then synthesis, no details.

    As there, each analysis level mirrors its input at the border and keeps two more samples on either side,
    which the synthesis uses up; the filters are not dilated between levels.
    """
    levels = int(np.ceil(np.log2(ratio)))
    for axis in (0, 1):
        margin = [(4, 4) if axis == other else (0, 0) for other in (0, 1)]
        for _ in range(levels):
            image = _filter_inside(np.pad(image, margin, mode="symmetric"), axis)
        for _ in range(levels):
            image = _filter_inside(image, axis)
    return image


def _filter_inside(image: Array, axis: int) -> Array:
    reach = len(_B3_SPLINE) // 2
    filtered = np.moveaxis(correlate1d(image, _B3_SPLINE, axis=axis), axis, 0)
    return np.moveaxis(filtered[reach:-reach], 0, axis)
