"""Metrics at reduced resolution, against a ground truth.

Definitions and border cut of DLPan-Toolbox (`indexes_evaluation.m`); PSNR and SSIM, which the toolbox lacks,
as the mean over bands that papers report on PanCollection.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate

from bnnpan.metrics.q2n import q2n
from bnnpan.metrics.similarity import average_q, ssim
from bnnpan_runtime.errors import SceneError

__all__ = ["reduced_resolution"]

Array = NDArray[np.float64]

_CUT = np.s_[..., 20:-21, 20:-21]  # MATLAB's 21:end-21
_SOBEL = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])


def reduced_resolution(
    reference: ArrayLike,
    fused: ArrayLike,
    ratio: int = 4,
    bit_depth: int = 11,
    valid: ArrayLike | None = None,
) -> dict[str, float]:
    """`SAM` (degrees), `ERGAS`, `Q2n`, `SCC`, `PSNR` (dB), `SSIM` and `Q_avg` of `fused` against `reference`.

    Both are `(bands, height, width)` in DN; 20 pixels at the upper and left, 21 at the lower and right border
    are left out. `valid` `(height, width)` further restricts SAM, ERGAS, SCC and PSNR to its true pixels and
    the others to blocks or windows without a false one; what then has none is NaN. Raises `SceneError` if the
    sizes differ or too little is left.
    """
    reference, fused = np.asarray(reference, np.float64), np.asarray(fused, np.float64)
    if reference.ndim != 3 or reference.shape != fused.shape:
        raise SceneError(f"reference {reference.shape} and fused {fused.shape} differ: compare one scene")
    mask = np.ones(reference.shape[1:], bool) if valid is None else np.asarray(valid, bool)
    if mask.shape != reference.shape[1:]:
        raise SceneError(
            f"the mask {mask.shape} does not cover {reference.shape[1:]}: give a value per pixel"
        )
    reference, fused, mask = reference[_CUT], fused[_CUT], mask[_CUT]
    if min(mask.shape) < 3 or not mask.any():
        raise SceneError("no valid pixel is left after cutting the border of 41 pixels: use a larger scene")
    peak = 2.0**bit_depth - 1
    limited = None if valid is None else mask
    return {
        "SAM": _sam(reference[:, mask], fused[:, mask]),
        "ERGAS": _ergas(reference[:, mask], fused[:, mask], ratio),
        "Q2n": q2n(reference, fused, valid=limited),
        "SCC": _scc(reference, fused, mask),
        "PSNR": _psnr(reference[:, mask], fused[:, mask], peak),
        "SSIM": ssim(reference, fused, peak, limited),
        "Q_avg": average_q(reference, fused, valid=limited),
    }


def _sam(reference: Array, fused: Array) -> float:
    """Mean angle between spectra `(bands, pixels)`; black pixels have none and do not count."""
    scalar = (reference * fused).sum(axis=0)
    norms = np.sqrt((reference**2).sum(axis=0) * (fused**2).sum(axis=0))
    coloured = norms > 0
    cosine = np.clip(scalar[coloured] / norms[coloured], -1, 1)
    return float(np.degrees(np.arccos(cosine).mean())) if cosine.size else float("nan")


def _ergas(reference: Array, fused: Array, ratio: int) -> float:
    error = ((reference - fused) ** 2).mean(axis=-1)
    return float(100 / ratio * np.sqrt((error / reference.mean(axis=-1) ** 2).mean()))


def _psnr(reference: Array, fused: Array, peak: float) -> float:
    error = ((reference - fused) ** 2).mean(axis=-1)
    with np.errstate(divide="ignore"):  # equal bands have an infinite PSNR
        return float((10 * np.log10(peak**2 / error)).mean())


def _scc(reference: Array, fused: Array, mask: NDArray[np.bool_]) -> float:
    """Cosine between the Sobel magnitudes of all bands, one more pixel cut, borders filled with zeros.

    NaN for a black image, which has no edges.
    """
    inner = np.s_[..., 1:-1, 1:-1]
    first, second = (_edges(image[inner])[:, mask[inner]] for image in (reference, fused))
    energy = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / energy) if energy > 0 else float("nan")


def _edges(image: Array) -> Array:
    rows = correlate(image, _SOBEL[None], mode="constant")
    columns = correlate(image, _SOBEL.T[None], mode="constant")
    return np.asarray(np.hypot(rows, columns))
