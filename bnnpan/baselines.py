"""Classical pan-sharpening to compare with, as in DLPan-Toolbox and the benchmark of Vivone et al. (2015)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnnpan.data.lms import interp23tap
from bnnpan.data.sensors import Sensor
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError, SceneError

__all__ = ["BASELINES", "fuse"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_EPSILON = np.finfo(np.float64).eps
_B3_SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


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

    `name` is one of `BASELINES`, `pan` `(1, ratio * height, ratio * width)`, `ms` `(bands, height, width)`.
    Phase "toolbox" repeats DLPan-Toolbox to the last digit; "centred" takes MS pixels at their true centres.
    `valid` `(ratio * height, ratio * width)` keeps nodata out of scene statistics. These methods need no MTF,
    so `sensor` does not change the result. Raises `ConfigError` for an unknown name, `SceneError` if the
    sizes do not fit.
    """
    pan, ms = np.asarray(pan, np.float64), np.asarray(ms, np.float64)
    if name not in BASELINES:
        raise ConfigError(f"unknown baseline {name}: choose from {', '.join(BASELINES)}")
    if pan.shape != (1, ratio * ms.shape[1], ratio * ms.shape[2]):
        raise SceneError(f"PAN {pan.shape} is not {ratio} times MS {ms.shape}: crop both to the same ground")
    lms = interp23tap(ms, ratio, phase, "circular" if phase == "toolbox" else "edge")
    mask = np.ones(pan.shape[1:], bool) if valid is None else np.asarray(valid, bool)
    return BASELINES[name](pan[0], lms, ms, mask, ratio, phase)


def _exp(pan: Array, lms: Array, ms: Array, mask: Mask, ratio: int, phase: Phase) -> Array:
    """Plain interpolation."""
    return lms


def _brovey(pan: Array, lms: Array, ms: Array, mask: Mask, ratio: int, phase: Phase) -> Array:
    """Brovey transform: every band scaled by PAN over intensity, the PAN matched to the intensity first."""
    intensity = lms.mean(axis=0)
    deviation = intensity[mask].std(ddof=1) / pan[mask].std(ddof=1)
    matched = (pan - pan[mask].mean()) * deviation + intensity[mask].mean()
    return np.asarray(lms * (matched / (intensity + _EPSILON)))


def _gsa(pan: Array, lms: Array, ms: Array, mask: Mask, ratio: int, phase: Phase) -> Array:
    """Gram-Schmidt adaptive (Aiazzi et al., 2007): intensity is the band mix that best explains the PAN."""
    pan = pan - pan[mask].mean()
    ms_mask = _at_ms_pixels(mask.astype(np.float64), ratio, phase) == 1
    ms_pixels = ms[:, ms_mask]
    design = np.column_stack([*(ms_pixels - ms_pixels.mean(axis=1, keepdims=True)), np.ones(ms_mask.sum())])
    pan_at_ms = _at_ms_pixels(_low_pass(pan, ratio), ratio, phase)
    weights = np.linalg.lstsq(design, pan_at_ms[ms_mask], rcond=None)[0]

    intensity = np.tensordot(weights[:-1], lms, 1)
    intensity -= intensity[mask].mean()
    spread = intensity[mask] - intensity[mask].mean()
    gains = (lms[:, mask] - lms[:, mask].mean(axis=1, keepdims=True)) @ spread / (spread @ spread)
    detail = pan - intensity
    return np.asarray(lms + gains[:, None, None] * (detail - detail[mask].mean()))


Method = Callable[[Array, Array, Array, Mask, int, Phase], Array]
BASELINES: dict[str, Method] = {"EXP": _exp, "Brovey": _brovey, "GSA": _gsa}


def _low_pass(pan: Array, ratio: int) -> Array:
    """The toolbox's `LPfilterPlusDec.m` without its decimation: B3 spline, analysis then synthesis.

    As there, each analysis level mirrors its input at the border and keeps two more samples on either side,
    which the synthesis uses up; the filters are not dilated between levels.
    """
    levels = int(np.ceil(np.log2(ratio)))
    for axis in (0, 1):
        signal = np.moveaxis(pan, axis, -1)
        for _ in range(levels):
            signal = _filter_valid(np.pad(signal, ((0, 0), (4, 4)), mode="symmetric"))
        for _ in range(levels):
            signal = _filter_valid(signal)
        pan = np.moveaxis(signal, -1, axis)
    return pan


def _filter_valid(signal: Array) -> Array:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(signal, len(_B3_SPLINE), axis=-1) @ _B3_SPLINE)


def _at_ms_pixels(image: Array, ratio: int, phase: Phase) -> Array:
    """`image` `(ratio * height, ratio * width)` where the MS samples sit, between pixels if need be."""
    later = ratio // 2
    earlier = later - 1 if phase == "centred" and ratio % 2 == 0 else later
    rows = (image[earlier::ratio] + image[later::ratio]) / 2
    return np.asarray((rows[:, earlier::ratio] + rows[:, later::ratio]) / 2)
