"""Metrics at full resolution, where no ground truth exists: how well a fused image agrees with its inputs.

Definitions of DLPan-Toolbox (`HQNR.m`, `D_lambda_K.m`, `D_s.m`, `QNR.m`, `D_lambda.m`): all compare with the
MS interpolated to the PAN grid, on blocks of 32 x 32 pixels, exponents 1. Plain interpolation has the best
`D_lambda` or close to it by construction, so no single one of these ranks methods.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnnpan.data.lms import interp23tap
from bnnpan.data.sensors import Sensor, find_sensor
from bnnpan.data.wald import mtf_filter, shrink_pan
from bnnpan.metrics.blocks import BLOCK, blocks, whole_blocks
from bnnpan.metrics.q2n import q2n
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError

__all__ = ["full_resolution"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def full_resolution(
    pan: ArrayLike,
    ms: ArrayLike,
    fused: ArrayLike,
    sensor: Sensor | str,
    ratio: int = 4,
    phase: Phase = "toolbox",
    valid: ArrayLike | None = None,
) -> dict[str, float]:
    """`D_lambda`, `D_s` and their `HQNR`; `D_lambda_QNR` and its `QNR`; 0 distortion and quality 1 are best.

    `D_lambda` is Khan's (2009), the others are Alparone's (2008). In DN: `pan` `(1, ratio * height,
    ratio * width)` or without the leading axis, `ms` `(bands, height, width)`, `fused` `(bands,
    ratio * height, ratio * width)`; `sensor` gives the MTF of `D_lambda`. Only the largest part from the
    upper left corner that holds whole blocks is used, without a border cut.

    Phase "toolbox" interpolates the MS as the toolbox and published tables do, half a PAN pixel off at
    ratio 4; "centred" keeps true pixel centres and is the fair reference for images fused that way. `valid`
    `(ratio * height, ratio * width)` leaves out blocks with a false pixel. A block that is flat in both
    images makes the values NaN, as in the toolbox. Raises `SceneError` if sizes differ or no block is left.
    """
    pan, ms, fused = (np.asarray(image, np.float64) for image in (pan, ms, fused))
    pan = pan[0] if pan.ndim == 3 and len(pan) == 1 else pan
    mask = np.ones(pan.shape, bool) if valid is None else np.asarray(valid, bool)
    _check_sizes(pan, ms, fused, mask, ratio)
    pan, ms, fused, mask = _whole(pan, ms, fused, mask, ratio)
    lms = interp23tap(ms, ratio, phase)
    smooth_pan = interp23tap(shrink_pan(pan, ratio), ratio, phase)
    degraded = mtf_filter(fused, find_sensor(sensor).gains(len(ms)), ratio)
    d_lambda = 1 - q2n(lms, degraded, valid=mask)

    kept = whole_blocks(mask)
    images = (fused, lms, pan[None], smooth_pan[None])
    fused, lms, pan, smooth_pan = (blocks(image)[:, kept] for image in images)
    d_s = _spatial_distortion(fused, lms, pan, smooth_pan)
    d_lambda_qnr = _spectral_distortion(fused, lms)
    return {
        "D_lambda": d_lambda,
        "D_s": d_s,
        "HQNR": (1 - d_lambda) * (1 - d_s),
        "D_lambda_QNR": d_lambda_qnr,
        "QNR": (1 - d_lambda_qnr) * (1 - d_s),
    }


def _check_sizes(pan: Array, ms: Array, fused: Array, mask: Mask, ratio: int) -> None:
    if ms.ndim != 3 or pan.shape != (ratio * ms.shape[1], ratio * ms.shape[2]):
        raise SceneError(f"PAN {pan.shape} is not {ratio} times MS {ms.shape}: crop both to the same ground")
    if fused.shape != (len(ms), *pan.shape):
        raise SceneError(
            f"fused {fused.shape} does not have the {len(ms)} bands of the MS on the PAN grid {pan.shape}:"
            " compare images of one scene"
        )
    if mask.shape != pan.shape:
        raise SceneError(f"the mask {mask.shape} does not cover the PAN {pan.shape}: give a value per pixel")


def _whole(pan: Array, ms: Array, fused: Array, mask: Mask, ratio: int) -> tuple[Array, Array, Array, Mask]:
    """Everything cropped to whole blocks of whole MS pixels."""
    unit = math.lcm(BLOCK, ratio)
    height, width = (size // unit * unit for size in pan.shape)
    if not height or not width or not whole_blocks(mask[:height, :width]).any():
        raise SceneError(f"no block of {unit} x {unit} valid PAN pixels is left: use a larger scene")
    ms = ms[:, : height // ratio, : width // ratio]
    return pan[:height, :width], ms, fused[:, :height, :width], mask[:height, :width]


def _spatial_distortion(fused: Array, lms: Array, pan: Array, smooth_pan: Array) -> float:
    """Mean over bands of how much the blocks' Q with the PAN changes between the scales."""
    return float(np.abs(_mean_q(fused, pan) - _mean_q(lms, smooth_pan)).mean())


def _spectral_distortion(fused: Array, lms: Array) -> float:
    """Mean over pairs of bands of how much the blocks' Q between them changes; 0 for a single band."""
    first, second = np.triu_indices(len(fused), k=1)
    if not len(first):
        return 0.0
    return float(np.abs(_mean_q(fused, fused) - _mean_q(lms, lms))[first, second].mean())


def _mean_q(first: Array, second: Array) -> Array:
    """`(first bands, second bands)`: Q (Wang and Bovik, 2002) of all pairs of bands, averaged over blocks."""
    first_mean, second_mean = first.mean(axis=-1), second.mean(axis=-1)
    first, second = first - first_mean[..., None], second - second_mean[..., None]
    # sample statistics: the factor 1 / (N - 1) cancels
    covariance = np.matmul(first.transpose(1, 0, 2), second.transpose(1, 2, 0)).transpose(1, 2, 0)
    variance = (first**2).sum(axis=-1)[:, None] + (second**2).sum(axis=-1)
    means, squares = first_mean[:, None] * second_mean, first_mean[:, None] ** 2 + second_mean**2
    with np.errstate(invalid="ignore"):  # flat blocks have no Q
        return np.asarray((4 * covariance * means / variance / squares).mean(axis=-1))
