"""Reduced-resolution evaluation: the network, calibrated once per scene, next to plain interpolation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.data.pairs import Pair
from bnnpan.metrics import reduced_resolution
from bnnpan.model import BNNPan
from bnnpan_runtime.contract import Calibration, Window
from bnnpan_runtime.errors import SceneError

Scores = dict[str, dict[str, dict[str, float]]]


def evaluate(model: BNNPan, pairs: Iterable[Pair], true_prior: bool = False) -> dict[str, Any]:
    """Scores of each pair: name -> method -> metric -> value, with mean and deviation over the pairs.

    Methods are `bnnpan` and `EXP` (the interpolated MS); metrics those of `reduced_resolution`.
    """
    scores: Scores = {}
    for pair in pairs:
        images = {"bnnpan": fuse_pair(model, pair, true_prior), "EXP": pair.lms}
        scores[pair.name] = {
            method: reduced_resolution(
                pair.gt,
                image,
                ratio=model.config.ratio,
                bit_depth=int(np.log2(pair.dn_scale + 1)),
                valid=pair.valid,
            )
            for method, image in images.items()
        }
    return {"protocol": "reduced", "pairs": scores, **_summary(scores)}


def relative_ergas(scores: Mapping[str, Any]) -> float:
    """Mean over pairs of ERGAS over that of plain interpolation: one number to watch, 1.0 is no gain."""
    shares = [one["bnnpan"]["ERGAS"] / one["EXP"]["ERGAS"] for one in scores["pairs"].values()]
    return float(np.mean(shares))


@torch.no_grad()
def fuse_pair(model: BNNPan, pair: Pair, true_prior: bool = False) -> NDArray[np.float32]:
    """Fused image `(bands, height, width)` float32 in DN, with affines frozen from calibration patches.

    `true_prior` takes the prior from the ground truth, which only a network in stage I needs. Raises
    `SceneError` for a pair smaller than a calibration patch.
    """
    calibration = Calibration()
    height, width = pair.valid.shape
    if min(height, width) < calibration.patch:
        raise SceneError(
            f"{pair.name}: {height} x {width} pixels, less than a calibration patch of {calibration.patch};"
            " use a larger scene"
        )
    pan = torch.from_numpy(_even(pair.pan) / np.float32(pair.dn_scale))[None]
    lms = torch.from_numpy(_even(pair.lms) / np.float32(pair.dn_scale))[None]
    patches = calibration.choose(height, width, lambda window: float(pair.valid[_pixels(window)].mean()))
    cut = [_pixels(patch) for patch in patches]
    prior = None
    if true_prior:
        truth = torch.from_numpy(_even(pair.gt) / np.float32(pair.dn_scale))[None]
        prior = model.true_prior(torch.cat([truth[c] for c in cut]), pooled=True)
    affines = model.calibrate(torch.cat([pan[c] for c in cut]), torch.cat([lms[c] for c in cut]), prior)
    fused: NDArray[np.float32] = model.fuse(pan, lms, affines)[0, :, :height, :width].numpy()
    return fused * np.float32(pair.dn_scale)


def _pixels(window: Window) -> tuple[Any, ...]:
    rows = slice(window.row, window.row + window.height)
    return ..., rows, slice(window.col, window.col + window.width)


def _even(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.pad(image, ((0, 0), *((0, size % 2) for size in image.shape[1:])), mode="edge")


def _summary(scores: Scores) -> dict[str, Any]:
    methods = next(iter(scores.values()), {})
    values = {
        method: {metric: [one[method][metric] for one in scores.values()] for metric in metrics}
        for method, metrics in methods.items()
    }
    mean = {m: {k: float(np.mean(v)) for k, v in metrics.items()} for m, metrics in values.items()}
    deviation = {
        m: {k: float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for k, v in metrics.items()}
        for m, metrics in values.items()
    }
    return {"mean": mean, "std": deviation}
