"""Classical pan-sharpening to compare with, as DLPan-Toolbox has it (Vivone et al., 2015 and 2021)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from bnnpan.baselines.injection import bdsd, bdsd_pc
from bnnpan.baselines.multiresolution import awlp, mf, sfim
from bnnpan.baselines.pyramid import (
    mtf_glp,
    mtf_glp_cbd,
    mtf_glp_fs,
    mtf_glp_hpm,
    mtf_glp_hpm_h,
    mtf_glp_hpm_r,
)
from bnnpan.baselines.scene import Array, Scene, prepare
from bnnpan.baselines.substitution import brovey, brovey_haze, gram_schmidt, gsa, pracs
from bnnpan.data.sensors import Sensor, find_sensor
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError, SceneError

__all__ = ["BASELINES", "fuse"]


def _exp(scene: Scene) -> Array:
    """Plain interpolation."""
    return scene.lms


BASELINES: dict[str, Callable[[Scene], Array]] = {
    "EXP": _exp,
    "BT": brovey,
    "BT-H": brovey_haze,
    "GS": gram_schmidt,
    "GSA": gsa,
    "PRACS": pracs,
    "BDSD": bdsd,
    "BDSD-PC": bdsd_pc,
    "SFIM": sfim,
    "AWLP": awlp,
    "MF": mf,
    "MTF-GLP": mtf_glp,
    "MTF-GLP-FS": mtf_glp_fs,
    "MTF-GLP-CBD": mtf_glp_cbd,
    "MTF-GLP-HPM": mtf_glp_hpm,
    "MTF-GLP-HPM-H": mtf_glp_hpm_h,
    "MTF-GLP-HPM-R": mtf_glp_hpm_r,
}
"""Methods by the names of the field's tables."""

_OTHER_NAMES = {"Brovey": "BT", "MF-HG": "MF"}


def fuse(
    name: str,
    pan: ArrayLike,
    ms: ArrayLike,
    sensor: Sensor | str,
    ratio: int = 4,
    phase: Phase = "toolbox",
    valid: ArrayLike | None = None,
) -> Array:
    """`(bands, ratio * height, ratio * width)` float64 in DN, neither rounded nor clipped.

    `name` is one of `BASELINES`, `pan` `(1, ratio * height, ratio * width)` or without the leading axis, `ms`
    `(bands, height, width)`; `sensor` gives the MTF gains. Phase "toolbox" repeats DLPan-Toolbox to the last
    digit; "centred" takes MS pixels at their true centres. With four bands, the haze-corrected methods (BT-H,
    MTF-GLP-HPM-H) take them as blue, green, red and near infrared. `valid` `(ratio * height, ratio * width)`
    keeps nodata out of scene statistics and filters; results there mean nothing.

    Raises `ConfigError` for an unknown name, `SceneError` if the sizes do not fit, nothing is valid, a valid
    pixel is not finite, or the PAN or a band is flat.
    """
    name = _OTHER_NAMES.get(name, name)
    if name not in BASELINES:
        raise ConfigError(f"unknown baseline {name}: choose from {', '.join(BASELINES)}")
    pan, ms = np.asarray(pan, np.float64), np.asarray(ms, np.float64)
    pan = pan[0] if pan.ndim == 3 and len(pan) == 1 else pan
    if ms.ndim != 3 or pan.shape != (ratio * ms.shape[1], ratio * ms.shape[2]):
        raise SceneError(f"PAN {pan.shape} is not {ratio} times MS {ms.shape}: crop both to the same ground")
    mask = np.ones(pan.shape, bool) if valid is None else np.asarray(valid, bool)
    if mask.shape != pan.shape:
        raise SceneError(f"the mask {mask.shape} does not cover the PAN {pan.shape}: give a value per pixel")
    scene = prepare(pan, ms, mask, find_sensor(sensor), ratio, phase)
    if name != "EXP":
        _check_contrast(scene)
    return BASELINES[name](scene)


def _check_contrast(scene: Scene) -> None:
    if np.ptp(scene.pixels(scene.pan)) == 0:
        raise SceneError("the PAN has one value everywhere, so there is no detail to add: use EXP")
    flat = np.flatnonzero(np.ptp(scene.ms[:, scene.ms_valid], axis=1) == 0)
    if len(flat):
        raise SceneError(f"band {flat[0] + 1} of the MS has one value everywhere: leave it out")
