"""Component substitution: an intensity mixed from the bands is replaced by the PAN."""

from __future__ import annotations

import numpy as np

from bnnpan.baselines.haze import haze
from bnnpan.baselines.scene import EPSILON, Array, Scene
from bnnpan.baselines.wavelet import b3_low_pass
from bnnpan.data.wald import gaussian_low_pass

__all__ = ["brovey", "brovey_haze", "gram_schmidt", "gsa", "pracs"]

_PRACS_STRENGTH = 0.95  # of the toolbox, tuned there for 11-bit data


def brovey(scene: Scene) -> Array:
    """BT, Brovey transform (Gillespie et al., 1987): every band scaled by PAN over mean intensity."""
    intensity = scene.lms.mean(axis=0)
    return np.asarray(scene.lms * (_matched(scene, scene.pan, intensity) / (intensity + EPSILON)))


def brovey_haze(scene: Scene) -> Array:
    """BT-H (Lolli et al., 2017): Brovey above the haze, the intensity being the mix that explains the PAN."""
    smooth = gaussian_low_pass(scene.pan, scene.ratio)
    weights = np.linalg.lstsq(scene.pixels(scene.lms).T, scene.pixels(smooth), rcond=None)[0]
    dark = haze(scene)
    above = scene.lms - dark
    intensity = np.tensordot(weights, above, 1)
    modulation = _matched(scene, smooth, intensity) / (intensity + EPSILON)
    return np.asarray(np.maximum(above, 0) * modulation + dark)


def gram_schmidt(scene: Scene) -> Array:
    """GS, mode 1 (Laben and Brower, 2000): the intensity is the mean of the bands."""
    intensity = scene.lms.mean(axis=0)
    intensity -= scene.mean(intensity)
    return _substituted(scene, intensity, _matched(scene, scene.pan, intensity))


def gsa(scene: Scene) -> Array:
    """GSA, adaptive Gram-Schmidt (Aiazzi et al., 2007): the intensity is the mix that explains the PAN."""
    pan = scene.pan - scene.mean(scene.pan)
    bands = scene.ms[:, scene.ms_valid]
    design = np.column_stack([*(bands - bands.mean(axis=1, keepdims=True)), np.ones(bands.shape[1])])
    smooth = _at_ms_pixels(b3_low_pass(pan, scene.ratio), scene)
    weights = np.linalg.lstsq(design, smooth[scene.ms_valid], rcond=None)[0]
    intensity = np.tensordot(weights[:-1], scene.lms, 1)
    return _substituted(scene, intensity - scene.mean(intensity), pan)


def pracs(scene: Scene) -> Array:
    """PRACS, partial replacement (Choi et al., 2011): an intensity per band, part PAN, part band."""
    lms, pan = scene.lms, scene.pan
    bands = np.maximum(_standardised_to_pan(scene), 0)
    common = _regressed(scene, bands, scene.resampled(pan))
    share = _correlation(scene, bands, common)[:, None, None]
    own = share * pan + (1 - share) * bands
    smooth = np.stack([_regressed(scene, bands, scene.resampled(intensity)) for intensity in own])
    detail = own - smooth
    detail -= scene.mean(detail)[:, None, None]

    deviation = scene.deviation(lms)
    weights = _PRACS_STRENGTH * _correlation(scene, lms, smooth) * deviation / deviation.mean()
    stability = 1 - np.abs(1 - _correlation(scene, lms, common)[:, None, None] * lms / smooth)
    return np.asarray(lms + weights[:, None, None] * stability * detail)


def _matched(scene: Scene, source: Array, intensity: Array) -> Array:
    """The PAN with mean and deviation of the intensity, both measured on `source`."""
    gain = scene.deviation(intensity) / scene.deviation(source)
    return np.asarray((scene.pan - scene.mean(source)) * gain + scene.mean(intensity))


def _substituted(scene: Scene, intensity: Array, pan: Array) -> Array:
    """The difference of PAN and intensity into every band, by its regression on the intensity; means kept."""
    gains = scene.covariance(scene.lms, intensity) / scene.covariance(intensity, intensity)
    detail = pan - intensity
    return np.asarray(scene.lms + gains[:, None, None] * (detail - scene.mean(detail)))


def _at_ms_pixels(image: Array, scene: Scene) -> Array:
    """`image` `(height, width)` where the MS samples sit, between pixels if need be."""
    ratio = scene.ratio
    later = ratio // 2
    earlier = later - 1 if scene.phase == "centred" and ratio % 2 == 0 else later
    rows = (image[earlier::ratio] + image[later::ratio]) / 2
    return np.asarray((rows[:, earlier::ratio] + rows[:, later::ratio]) / 2)


def _standardised_to_pan(scene: Scene) -> Array:
    """The LMS with mean and deviation of the PAN in every band."""
    gain = scene.deviation(scene.pan) / scene.deviation(scene.lms)
    offset = scene.mean(scene.pan) - gain * scene.mean(scene.lms)
    return scene.lms * gain[:, None, None] + offset[:, None, None]


def _regressed(scene: Scene, bands: Array, target: Array) -> Array:
    """The mix of bands and a constant nearest to `target`."""
    pixels = scene.pixels(bands)
    design = np.column_stack([np.ones(pixels.shape[-1]), *pixels])
    weights = np.linalg.lstsq(design, scene.pixels(target), rcond=None)[0]
    return np.asarray(np.tensordot(weights[1:], bands, 1) + weights[0])


def _correlation(scene: Scene, bands: Array, image: Array) -> Array:
    """Correlation of every band with `image`, or with its own band if `image` has as many."""
    return scene.covariance(bands, image) / (scene.deviation(bands) * scene.deviation(image))
