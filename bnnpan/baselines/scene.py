"""One scene as the classical methods see it: inputs, statistics over its valid pixels, and its filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from bnnpan.data.lms import interp23tap
from bnnpan.data.resize import resize
from bnnpan.data.sensors import Sensor
from bnnpan.data.wald import degrade_ms, degrade_ms_centred, mtf_kernel
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError

__all__ = ["EPSILON", "Array", "Mask", "Scene", "prepare"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EPSILON = np.finfo(np.float64).eps
"""MATLAB's eps, which the toolbox adds to divisors."""


@dataclass(frozen=True)
class Scene:
    """A pair in DN, and where it holds data; nodata is already filled with the nearest valid value."""

    pan: Array
    """`(height, width)`."""
    ms: Array
    """`(bands, height / ratio, width / ratio)`."""
    lms: Array
    """`(bands, height, width)`: the MS interpolated to the PAN grid."""
    valid: Mask
    """`(height, width)`."""
    ms_valid: Mask
    """`(height / ratio, width / ratio)`: MS pixels without an invalid PAN pixel."""
    sensor: Sensor
    ratio: int
    phase: Phase

    def pixels(self, image: Array) -> Array:
        """`(..., pixels)`: the valid ones of `image` `(..., height, width)`."""
        return image.reshape(*image.shape[:-2], -1) if self.valid.all() else image[..., self.valid]

    def mean(self, image: Array) -> Array:
        """Mean of every band over the valid pixels."""
        return np.asarray(self.pixels(image).mean(axis=-1))

    def deviation(self, image: Array) -> Array:
        """Sample standard deviation of every band over the valid pixels."""
        return np.asarray(self.pixels(image).std(axis=-1, ddof=1))

    def covariance(self, bands: Array, image: Array) -> Array:
        """Sample covariance of every band with `image`, or with its own band if `image` has as many."""
        first, second = self.pixels(bands), self.pixels(image)
        first = first - first.mean(axis=-1, keepdims=True)
        second = second - second.mean(axis=-1, keepdims=True)
        return np.asarray((first * second).sum(axis=-1) / (first.shape[-1] - 1))

    def matching(self, source: Array) -> tuple[Array, Array]:
        """Gains and offsets `(bands, 1, 1)` that give the PAN mean and contrast of every band of the LMS.

        `source` is what the PAN's contrast is measured on: itself, or a low-pass version of it.
        """
        gains = self.deviation(self.lms) / self.deviation(source)
        offsets = self.mean(self.lms) - gains * self.mean(self.pan)
        return gains[:, None, None], offsets[:, None, None]

    def resampled(self, image: Array) -> Array:
        """`image` `(height, width)` at MS resolution, by MATLAB's bicubic `imresize` down and up again."""
        return resize(resize(image, self.ms.shape[1:]), self.pan.shape)

    def pan_at_ms(self, gain: float) -> Array:
        """The PAN as an MS channel with this MTF gain would see it, on the MS grid."""
        reduce = degrade_ms if self.phase == "toolbox" else degrade_ms_centred
        return reduce(self.pan[None], [gain], self.ratio)[0]

    def constant_at_ms(self, gain: float) -> float:
        """What `pan_at_ms` makes of a PAN that is 1 everywhere: the toolbox's filters do not sum to 1."""
        return float(mtf_kernel(gain, self.ratio).sum()) if self.phase == "toolbox" else 1.0

    def interpolate(self, ms: Array) -> Array:
        """`ms` `(..., height / ratio, width / ratio)` on the PAN grid, as the LMS was made."""
        return interp23tap(ms, self.ratio, self.phase)

    def low_pass_pan(self) -> Array:
        """`(bands, height, width)`: the PAN at the resolution of every band, back on its own grid."""
        gains = self.sensor.gains(len(self.ms))
        smooth = {gain: self.interpolate(self.pan_at_ms(gain)) for gain in set(gains)}
        return np.stack([smooth[gain] for gain in gains])


def prepare(pan: Array, ms: Array, valid: Mask, sensor: Sensor, ratio: int, phase: Phase) -> Scene:
    """The scene of `pan` and `valid` `(height, width)` and `ms` `(bands, height / ratio, width / ratio)`.

    Raises `SceneError` where nothing is valid or a valid pixel is not finite.
    """
    height, width = ms.shape[1:]
    ms_valid = valid.reshape(height, ratio, width, ratio).all(axis=(1, 3))
    if not ms_valid.any():
        raise SceneError("no MS pixel has valid PAN pixels only: check the mask")
    if not (np.isfinite(pan[valid]).all() and np.isfinite(ms[:, ms_valid]).all()):
        raise SceneError("PAN or MS holds values that are not finite: mark their pixels invalid")
    pan, ms = _filled(pan, valid), _filled(ms, ms_valid)
    return Scene(pan, ms, interp23tap(ms, ratio, phase), valid, ms_valid, sensor, ratio, phase)


def _filled(image: Array, valid: Mask) -> Array:
    """Invalid pixels replaced by the nearest valid one, so that no filter spreads them."""
    if valid.all():
        return image
    rows, columns = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return np.asarray(image[..., rows, columns])
