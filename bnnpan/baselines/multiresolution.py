"""Multiresolution methods whose filters know nothing of the sensor: SFIM, AWLP, MF."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import grey_dilation, grey_erosion, uniform_filter

from bnnpan.baselines.scene import EPSILON, Array, Scene
from bnnpan.baselines.wavelet import b3_low_pass
from bnnpan.data.resize import resize

__all__ = ["awlp", "mf", "sfim"]

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)


def sfim(scene: Scene) -> Array:
    """SFIM (Liu, 2000): every band scaled by PAN over its moving average, an odd window wide."""
    gains, offsets = scene.matching(scene.pan)
    smooth = uniform_filter(scene.pan, scene.ratio + 1 - scene.ratio % 2, mode="nearest")
    return np.asarray(scene.lms * (gains * scene.pan + offsets) / (gains * smooth + offsets + EPSILON))


def awlp(scene: Scene) -> Array:
    """AWLP (Otazu et al., 2005; matched as Alparone et al., 2017): wavelet detail in the band's share."""
    smooth = scene.resampled(scene.pan)
    gains, _ = scene.matching(smooth)
    detail = scene.pan - b3_low_pass(scene.pan, scene.ratio)
    share = scene.lms / (scene.lms.mean(axis=0) + EPSILON)
    return np.asarray(scene.lms + gains * detail * share)


def mf(scene: Scene) -> Array:
    """MF-HG (Restaino et al., 2016): every band scaled by PAN over its half-gradient pyramid."""
    gains, offsets = scene.matching(scene.pan)
    smooth = _morphological_low_pass(scene)
    return np.asarray(scene.lms * ((gains * scene.pan + offsets) / (gains * smooth + offsets + EPSILON)))


def _morphological_low_pass(scene: Scene) -> Array:
    """The coarsest level of the PAN's pyramid, brought back level by level.

    The toolbox keeps one of four samples and takes the height of the levels between for their width too
    (`Pyr_Dec.m`); the centred phase averages the four and keeps proportions.
    """
    image, shapes = scene.pan, [scene.pan.shape]
    for level in range(int(np.ceil(np.log2(scene.ratio)))):
        image = (grey_dilation(image, footprint=_CROSS) + grey_erosion(image, footprint=_CROSS)) / 2
        image = _every_other(image, 1 - level) if scene.phase == "toolbox" else _pairs_averaged(image)
        shapes.append((image.shape[0],) * 2 if scene.phase == "toolbox" else image.shape)
    for height, width in reversed(shapes[:-1]):
        if scene.phase == "toolbox":
            image = resize(image, (height, width), "bilinear")
        else:
            image = resize(image, (2 * image.shape[0], 2 * image.shape[1]), "bilinear")[:height, :width]
    return image


def _every_other(image: Array, first: int) -> Array:
    return image[max(first, 0) :: 2, max(first, 0) :: 2]


def _pairs_averaged(image: Array) -> Array:
    even = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    rows = (even[::2] + even[1::2]) / 2
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 2)
