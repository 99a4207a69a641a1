"""Scene units: PAN and MS of one scene, shifted, scaled and mixed so that scenes of any sensor look alike.

A network fed with DN over the bit depth must guess from each neighbourhood how bright a sensor's bands are
and how much of them its PAN explains. Both are plain statistics of a scene, so the network is given images in
which they are settled: every band has mean 0 and deviation 1, the PAN is reduced to the *detail* that the
bands do not explain, and every band already has its share of that detail. That share is what component
substitution injects (Aiazzi et al., 2007), so the network starts from a classical product and learns what to
change. All of it is affine per pixel: it costs a few operations where DN are read and written, and the
network stays local.

The same scene gives the same units on every processor: sums are exact or of one order, and the few equations
are solved here, because BLAS and LAPACK add as the processor likes best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SceneUnits", "block_means", "image_units", "mix", "moments", "scene_units"]

BLOCK = 8
"""Side of the blocks of PAN pixels whose means the statistics are taken from: two MS pixels at ratio 4, so
that the sharpness of the PAN counts little."""

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and covariance."""

_RIDGE = 1e-3
"""Share of its own variance that is added to each band's, so that bands that are copies of one another divide
the PAN between them instead of cancelling out."""

_SMALLEST_DEVIATION = 1e-3
"""Of a band, as a share of its mean: a calm sea would otherwise be all noise."""


@dataclass(frozen=True)
class SceneUnits:
    """How DN of one scene become network units and back; sequences have one value per band.

    With `m = (MS - ms_offset) / ms_scale`, interpolated to the PAN grid, and `p = (PAN - pan_offset) /
    pan_scale`, the network's PAN is the detail `d = p - sum(explained * m)`, its LMS is `m + injected * d`,
    and its result times `ms_scale` plus `ms_offset` is the HRMS in DN. NoData becomes 0, an average pixel.
    """

    pan_offset: float
    pan_scale: float
    ms_offset: tuple[float, ...]
    ms_scale: tuple[float, ...]
    explained: tuple[float, ...]
    injected: tuple[float, ...]

    @classmethod
    def of_bit_depth(cls, dn_scale: float, bands: int) -> SceneUnits:
        """The units of networks that take DN over `2**bit_depth - 1`, whatever the scene."""
        nothing = (0.0,) * bands
        return cls(0.0, dn_scale, nothing, (dn_scale,) * bands, nothing, nothing)

    @property
    def mixes(self) -> bool:
        """Whether PAN and bands are mixed at all."""
        return any(self.explained) or any(self.injected)


def block_means(image: NDArray[Any]) -> NDArray[np.float64]:
    """Means `(..., blocks)` of the squares of `BLOCK` pixels in `(..., height, width)`, whole ones only."""
    *planes, height, width = image.shape
    rows, cols = height // BLOCK, width // BLOCK
    cut = image[..., : rows * BLOCK, : cols * BLOCK].reshape(*planes, rows, BLOCK, cols, BLOCK)
    total = np.zeros((*planes, rows, cols))
    for row, col in np.ndindex(BLOCK, BLOCK):
        total += cut[..., row, :, col]
    return (total / BLOCK**2).reshape(*planes, rows * cols)


def moments(samples: NDArray[np.float64]) -> Moments:
    """Mean `(planes,)` and covariance `(planes, planes)` of `(planes, samples)`."""
    count = samples.shape[1]
    mean = np.array([fsum(plane) / count for plane in samples])
    centred = samples - mean[:, None]
    products = [[fsum(left * right) / count for right in centred] for left in centred]
    return mean, np.array(products)


def scene_units(mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> SceneUnits:
    """Units from the moments of block means in DN, LMS bands first, PAN last.

    `explained` is the regression of the PAN on the bands, `injected` each band's correlation with the PAN,
    both between standardised planes.
    """
    deviation = np.maximum(np.sqrt(np.diag(covariance)), _SMALLEST_DEVIATION * np.abs(mean))
    deviation = np.where(deviation > 0, deviation, 1.0)
    correlation = covariance / np.outer(deviation, deviation)
    bands = correlation[:-1, :-1] + _RIDGE * np.eye(len(mean) - 1)
    explained = _solve(bands.tolist(), correlation[:-1, -1].tolist())
    return SceneUnits(
        pan_offset=float(mean[-1]),
        pan_scale=float(deviation[-1]),
        ms_offset=tuple(mean[:-1].tolist()),
        ms_scale=tuple(deviation[:-1].tolist()),
        explained=tuple(explained),
        injected=tuple(correlation[:-1, -1].tolist()),
    )


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """The solution of a symmetric, positive definite system, by elimination; both arguments are used up."""
    count = len(right)
    for pivot in range(count):
        for row in range(pivot + 1, count):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            right[row] -= factor * right[pivot]
            for col in range(pivot, count):
                matrix[row][col] -= factor * matrix[pivot][col]
    for row in reversed(range(count)):
        for col in range(row + 1, count):
            right[row] -= matrix[row][col] * right[col]
        right[row] /= matrix[row][row]
    return right


def image_units(pan: NDArray[Any], lms: NDArray[Any]) -> SceneUnits:
    """Units of PAN `(1, height, width)` and LMS `(bands, height, width)` in DN, measured everywhere."""
    return scene_units(*moments(np.concatenate([block_means(lms), block_means(pan)])))


def mix(units: SceneUnits, pan: NDArray[np.float32], bands: Sequence[NDArray[np.float32]]) -> None:
    """Turn scaled PAN and scaled LMS bands, all of one shape, into detail and LMS with detail, in place."""
    if not units.mixes:
        return
    for weight, band in zip(units.explained, bands, strict=True):
        pan -= np.float32(weight) * band
    for weight, band in zip(units.injected, bands, strict=True):
        band += np.float32(weight) * pan
