"""Path radiance of every band, estimated from its darkest pixels (Lolli et al., 2017)."""

from __future__ import annotations

import numpy as np

from bnnpan.baselines.scene import Array, Scene

__all__ = ["haze"]

# Share of the darkest percentile that is haze: blue, green, red, near infrared.
_SHARES = np.array([0.95, 0.45, 0.40, 0.05])


def haze(scene: Scene) -> Array:
    """`(bands, 1, 1)` in DN: with four bands a share of the first percentile, else the smallest value."""
    pixels = scene.pixels(scene.lms)
    if len(pixels) == len(_SHARES):
        dark = _SHARES * np.percentile(pixels, 1, axis=-1, method="hazen")  # MATLAB's prctile
    else:
        dark = pixels.min(axis=-1)
    return np.asarray(dark[:, None, None])
