"""Scene units: PAN and MS of one scene, shifted and scaled so that scenes of any sensor look alike.

A network fed with DN over the bit depth must guess from each neighbourhood how bright a sensor's bands are
and how much detail they share with its PAN. Both are plain statistics of a scene, so the network is given
images in which they are settled: PAN and every band have mean 0 and deviation 1, and every band already has
its share of the detail of the PAN that MS cannot see. That is what MTF-GLP makes (Aiazzi et al., 2006), so
the network starts from a classical product and learns what to change. It costs a few operations where DN are
read and written, and the network stays local.

How much of the PAN's detail a band shares cannot be told from its large forms: in the near infrared, woods
are bright and water is dark, but edges are edges. It is taken from the finest detail that MS can see, the
curvature of the image from one MS sample to the next.

The same scene gives the same units on every processor: sums are exact or of one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MS_GAIN",
    "SceneUnits",
    "add_shares",
    "block_means",
    "curvature",
    "image_units",
    "moments",
    "products",
    "scene_units",
]

MS_GAIN = 0.3
"""MTF of every MS channel at its Nyquist frequency: what DLPan-Toolbox takes for sensors it does not know.
Those it knows have 0.22 to 0.37."""

BLOCK = 8
"""Side of the blocks of PAN pixels whose means the statistics are taken from: two MS pixels at ratio 4, so
that the sharpness of the PAN counts little."""

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and covariance."""

_SMALLEST_DEVIATION = 1e-3
"""Of a band, as a share of its mean: a calm sea would otherwise be all noise."""


@dataclass(frozen=True)
class SceneUnits:
    """How DN of one scene become network units and back; sequences have one value per band.

    With `m = (MS - ms_offset) / ms_scale`, `p = (PAN - pan_offset) / pan_scale`, `q` the PAN `p` as an MS
    channel sees it (`bnnpan_runtime.shrink`) and interpolation I to the PAN grid, the network's PAN is p, its
    LMS is `I(m - injected * q) + injected * p`, and its result times `ms_scale` plus `ms_offset` is the HRMS
    in DN. NoData becomes 0 as p or m, an average pixel.
    """

    pan_offset: float
    pan_scale: float
    ms_offset: tuple[float, ...]
    ms_scale: tuple[float, ...]
    injected: tuple[float, ...]

    @classmethod
    def of_bit_depth(cls, dn_scale: float, bands: int) -> SceneUnits:
        """The units of networks that take DN over `2**bit_depth - 1`, whatever the scene."""
        nothing = (0.0,) * bands
        return cls(0.0, dn_scale, nothing, (dn_scale,) * bands, nothing)

    @property
    def injects(self) -> bool:
        """Whether any band gets detail of the PAN."""
        return any(self.injected)


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


def curvature(image: NDArray[Any], measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Four times a sample less its four neighbours, `(planes, places)`, wherever all five are `measured`.

    `image` is `(planes, height, width)`, `measured` `(height, width)`.
    """
    inner = (slice(1, -1), slice(1, -1))
    around = ((slice(None, -2), inner[1]), (slice(2, None), inner[1]), (inner[0], slice(None, -2)))
    neighbours = (*around, (inner[0], slice(2, None)))
    whole = measured[inner].copy()
    bend = 4 * image[:, *inner].astype(np.float64)
    for place in neighbours:
        whole &= measured[place]
        bend -= image[:, *place]
    return bend[:, whole]


def products(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of products `(planes, planes)` of `(planes, samples)`."""
    return np.array([[fsum(left * right) for right in samples] for left in samples])


def scene_units(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], details: NDArray[np.float64]
) -> SceneUnits:
    """Units of a scene in DN, bands first, PAN last.

    `mean` and `covariance` are those of block means of LMS and PAN, `details` the products of the curvature
    of MS and of the PAN as MS sees it: `injected` is the regression of a band's curvature on that of the PAN,
    0 where the PAN has none.
    """
    deviation = np.maximum(np.sqrt(np.diag(covariance)), _SMALLEST_DEVIATION * np.abs(mean))
    deviation = np.where(deviation > 0, deviation, 1.0)
    shares = details[:-1, -1] / details[-1, -1] if details[-1, -1] > 0 else np.zeros(len(mean) - 1)
    return SceneUnits(
        pan_offset=float(mean[-1]),
        pan_scale=float(deviation[-1]),
        ms_offset=tuple(mean[:-1].tolist()),
        ms_scale=tuple(deviation[:-1].tolist()),
        injected=tuple((shares * deviation[-1] / deviation[:-1]).tolist()),
    )


def image_units(pan: NDArray[Any], lms: NDArray[Any], ms: NDArray[Any], pan_seen: NDArray[Any]) -> SceneUnits:
    """Units of a small scene in DN, measured everywhere.

    PAN `(1, height, width)` and LMS `(bands, height, width)`; on the grid of MS, MS itself `(bands, ...)` and
    the PAN as MS sees it `(...)`.
    """
    bends = curvature(np.concatenate([ms, pan_seen[None]]), np.ones(pan_seen.shape, np.bool_))
    return scene_units(*moments(np.concatenate([block_means(lms), block_means(pan)])), products(bends))


def add_shares(
    weights: Sequence[float], plane: NDArray[np.float32], bands: Sequence[NDArray[np.float32]]
) -> None:
    """`band += weight * plane` in place, all of one shape; products and sums are rounded one by one."""
    for weight, band in zip(weights, bands, strict=True):
        band += np.float32(weight) * plane
