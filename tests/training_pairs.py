"""Pairs to train on that lie in no file: of noise, and of images whose bands share structure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from bnnpan.data.pairs import BGRN, Pair
from bnnpan.data.patches import Augmentation

PLAIN = Augmentation(
    vary_mtf=False, band_log_gain=0, common_log_gain=0, simulated_pan_share=0, pan_noise=0, flips=False
)


def synthetic_pair(
    name: str = "four_1", split: Any = "train", side: int = 100, simulated: bool = False
) -> Pair:
    random = np.random.default_rng(len(name))
    gt = random.uniform(100, 1800, (4, side, side)).astype(np.float32)
    return Pair(
        name=name,
        sensor="",
        kind=name.split("_")[0],
        split=split,
        bands=BGRN,
        pan=gt.mean(axis=0, keepdims=True),
        lms=gt + 1,
        ms=gt[:, 2::4, 2::4],
        gt=gt,
        sharp=gt,
        valid=np.ones((side, side), bool),
        dn_scale=2047.0,
        simulated_pan=simulated,
        lms_variants=np.stack([gt + 2, gt + 3]),
        ms_variants=np.stack([gt[:, 2::4, 2::4] + 2, gt[:, 2::4, 2::4] + 3]),
        phase="centred",
    )


def smooth_pair() -> Pair:
    """Bands that share structure of all sizes, an LMS without the fine part, a PAN that mixes the bands."""
    random = np.random.default_rng(5)
    common, own = random.standard_normal((1, 128, 128)), random.standard_normal((4, 128, 128))
    coarse = np.stack([gaussian_filter(band, 6) for band in own + common]) * 20
    fine = np.stack([gaussian_filter(band, 1) for band in 0.3 * own + common])
    lms = (500 + 100 * coarse).astype(np.float32)
    gt = (lms + 60 * fine).astype(np.float32)
    pair = synthetic_pair(side=128)
    return replace(pair, gt=gt, sharp=gt, lms=lms, pan=gt.mean(axis=0, keepdims=True), ms=gt[:, 2::4, 2::4])
