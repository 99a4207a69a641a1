"""Generalised Laplacian pyramid with the sensor's MTF (Aiazzi et al., 2006), and ways to inject its detail.

The detail of the PAN is what an MS channel, with its own MTF and sampling, would not see of it.
"""

from __future__ import annotations

import numpy as np

from bnnpan.baselines.haze import haze
from bnnpan.baselines.scene import EPSILON, Array, Scene
from bnnpan.data.wald import gaussian_low_pass

__all__ = ["mtf_glp", "mtf_glp_cbd", "mtf_glp_fs", "mtf_glp_hpm", "mtf_glp_hpm_h", "mtf_glp_hpm_r"]


def mtf_glp(scene: Scene) -> Array:
    """MTF-GLP (Aiazzi et al., 2006): the detail of the PAN matched to each band, added as it is."""
    pan, smooth = _matched_pan(scene)
    return scene.lms + pan - smooth


def mtf_glp_hpm(scene: Scene) -> Array:
    """MTF-GLP-HPM (Aiazzi et al., 2003): each band scaled by matched PAN over its low-pass version."""
    pan, smooth = _matched_pan(scene)
    return np.asarray(scene.lms * (pan / (smooth + EPSILON)))


def mtf_glp_fs(scene: Scene) -> Array:
    """MTF-GLP-FS (Vivone et al., 2018): gains from a regression at full scale, against the PAN itself."""
    smooth = scene.low_pass_pan()
    gains = scene.covariance(scene.lms, scene.pan) / scene.covariance(smooth, scene.pan)
    return scene.lms + gains[:, None, None] * (scene.pan - smooth)


def mtf_glp_cbd(scene: Scene) -> Array:
    """MTF-GLP-CBD (Alparone et al., 2007), `GS2_GLP.m`: gains from a regression against the low-pass PAN."""
    smooth = scene.low_pass_pan()
    gains = scene.covariance(scene.lms, smooth) / scene.covariance(smooth, smooth)
    return scene.lms + gains[:, None, None] * (scene.pan - smooth)


def mtf_glp_hpm_r(scene: Scene) -> Array:
    """MTF-GLP-HPM-R (Vivone et al., 2018): high-pass modulation with an offset from the regression of CBD."""
    smooth = scene.low_pass_pan()
    gains = scene.covariance(scene.lms, smooth) / scene.covariance(smooth, smooth)
    offset = (scene.mean(scene.lms) / gains - scene.mean(scene.pan))[:, None, None]
    return np.asarray(scene.lms * (scene.pan + offset) / (smooth + offset + EPSILON))


def mtf_glp_hpm_h(scene: Scene) -> Array:
    """MTF-GLP-HPM-H (Lolli et al., 2017): high-pass modulation above the haze of each band and of the PAN."""
    pixels, dark = scene.pixels(scene.lms), haze(scene)
    design = np.column_stack([np.ones(pixels.shape[-1]), *pixels])
    target = scene.pixels(gaussian_low_pass(scene.pan, scene.ratio))
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    pan_dark = weights[0] + weights[1:] @ dark[:, 0, 0]
    modulation = (scene.pan - pan_dark) / (scene.low_pass_pan() - pan_dark + EPSILON)
    return np.asarray((scene.lms - dark) * modulation + dark)


def _matched_pan(scene: Scene) -> tuple[Array, Array]:
    """The PAN matched to every band, and the same at the resolution of that band."""
    gains, offsets = scene.matching(gaussian_low_pass(scene.pan, scene.ratio))
    mtf_gains = scene.sensor.gains(len(scene.ms))
    reduced = {gain: scene.pan_at_ms(gain) for gain in set(mtf_gains)}
    smooth = [
        scene.interpolate(slope * reduced[gain] + offset * scene.constant_at_ms(gain))
        for gain, slope, offset in zip(mtf_gains, gains, offsets, strict=True)
    ]
    return gains * scene.pan + offsets, np.stack(smooth)
