"""The golden tile: one small scene with its calibration and product, for self-tests on the board."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from safetensors.numpy import save

from bnnpan.model import PanSharpener
from bnnpan_export.reference import Expected, expected_product
from bnnpan_export.scenes import RawScene, Scene, synthetic_scene
from bnnpan_runtime.contract import Calibration, Phase
from bnnpan_runtime.golden import mirrored, sampled
from bnnpan_runtime.weights import STORED_SIDE

__all__ = ["GOLDEN_CALIBRATION", "golden_tile"]

GOLDEN_CALIBRATION = Calibration(patch=STORED_SIDE, count=4)
"""The golden tile is calibrated on its four quarters."""

_CANDIDATES = 8
_STEADY_DN = 0.1

_GREY_LEVELS = 256
"""Of the stored images, which are all the smaller when deflated."""


def golden_tile(model: PanSharpener, bit_depth: int, phase: Phase) -> bytes:
    """Safetensors file: a quarter of `pan` and `ms` in DN, `affines`, and values of the reference's `hrms`.

    The product is in DN, rounded half to even and clipped to uint16. The scene is a synthetic one on which
    rounding does not carry an activation across its threshold (see `_steadiest`).
    """
    quarter, scene, expected = _steadiest(model, bit_depth, phase)
    product = np.clip(np.rint(scene.in_dn(expected.hrms)), 0, 65535).astype(np.uint16)
    values = np.ascontiguousarray(sampled(product))
    return save({"pan": quarter.pan, "ms": quarter.ms, "affines": expected.affines, "hrms": values})


def _steadiest(model: PanSharpener, bit_depth: int, phase: Phase) -> tuple[RawScene, Scene, Expected]:
    """The first of a few scenes whose product is the same in single and double precision, else the nearest.

    On such a scene engines that add in another order most likely agree as well, so that a self-test can tell
    a defect from rounding. The raw scene given is its upper left quarter.
    """
    dn_scale = float(2**bit_depth - 1)
    best: tuple[float, RawScene, Scene, Expected] | None = None
    for seed in range(_CANDIDATES):
        quarter = _quarter(model, bit_depth, seed)
        raw = RawScene(mirrored(quarter.pan), mirrored(quarter.ms), quarter.ratio)
        scene = raw.scene("golden", phase, model.config.units, dn_scale)
        single = expected_product(model, scene, GOLDEN_CALIBRATION)
        double = expected_product(model, scene, GOLDEN_CALIBRATION, torch.float64)
        apart_dn = max(scene.units.ms_scale) * float(np.abs(single.hrms - double.hrms).max())
        if best is None or apart_dn < best[0]:
            best = (apart_dn, quarter, scene, single)
        if apart_dn < _STEADY_DN:
            break
    assert best is not None
    return best[1:]


def _quarter(model: PanSharpener, bit_depth: int, seed: int) -> RawScene:
    """A synthetic scene of `STORED_SIDE` in `_GREY_LEVELS`."""
    raw = synthetic_scene(model.config.bands, model.config.ratio, bit_depth, seed, STORED_SIDE)
    step = max(1, 2**bit_depth // _GREY_LEVELS)
    return replace(raw, pan=raw.pan // step * step, ms=raw.ms // step * step)
