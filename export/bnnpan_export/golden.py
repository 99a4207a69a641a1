"""The golden tile: one small scene with its calibration and product, for self-tests on the board."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.numpy import save

from bnnpan.model import BNNPan
from bnnpan_export.reference import Expected, expected_product
from bnnpan_export.scenes import RawScene, Scene, synthetic_scene
from bnnpan_runtime.contract import Calibration, Phase

__all__ = ["golden_tile"]

_CANDIDATES = 8
_STEADY_DN = 0.1


def golden_tile(model: BNNPan, calibration: Calibration, bit_depth: int, phase: Phase) -> bytes:
    """Safetensors file with `pan` and `ms` in DN, `affines`, and the reference's `hrms` in DN.

    The product is rounded half to even and clipped to uint16. The scene is a synthetic one on which rounding
    does not carry an activation across its threshold (see `_steadiest`).
    """
    raw, scene, expected = _steadiest(model, calibration, bit_depth, phase)
    product = np.clip(np.rint(scene.in_dn(expected.hrms)), 0, 65535).astype(np.uint16)
    return save({"pan": raw.pan, "ms": raw.ms, "affines": expected.affines, "hrms": product})


def _steadiest(
    model: BNNPan, calibration: Calibration, bit_depth: int, phase: Phase
) -> tuple[RawScene, Scene, Expected]:
    """The first of a few scenes whose product is the same in single and double precision, else the nearest.

    On such a scene engines that add in another order most likely agree as well, so that a self-test can tell
    a defect from rounding.
    """
    dn_scale = float(2**bit_depth - 1)
    best: tuple[float, RawScene, Scene, Expected] | None = None
    for seed in range(_CANDIDATES):
        raw = synthetic_scene(model.config.bands, model.config.ratio, bit_depth, seed)
        scene = raw.scene("golden", phase, model.config.units, dn_scale)
        single = expected_product(model, scene, calibration)
        double = expected_product(model, scene, calibration, torch.float64)
        apart_dn = max(scene.units.ms_scale) * float(np.abs(single.hrms - double.hrms).max())
        if best is None or apart_dn < best[0]:
            best = (apart_dn, raw, scene, single)
        if apart_dn < _STEADY_DN:
            break
    assert best is not None
    return best[1:]
