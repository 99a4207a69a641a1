"""Band-dependent spatial detail: linear mixes of PAN and bands, learnt one scale down."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from bnnpan.baselines.scene import Array, Scene
from bnnpan.data.wald import mtf_filter, shrink_pan

__all__ = ["bdsd", "bdsd_pc"]


def bdsd(scene: Scene) -> Array:
    """BDSD (Garzelli et al., 2008) with one set of weights for the whole scene."""
    design, lost = _reduced_problem(scene)
    return _injected(scene, np.linalg.lstsq(design, lost, rcond=None)[0])


def bdsd_pc(scene: Scene) -> Array:
    """BDSD-PC (Vivone, 2019): the PAN may only be added, the bands only be subtracted."""
    design, lost = _reduced_problem(scene)
    signs = np.array([-1.0] * len(scene.ms) + [1.0])
    reduced, triangle = np.linalg.qr(design * signs)  # the same minimum with a handful of equations
    solutions = [nnls(triangle, reduced.T @ detail)[0] for detail in lost.T]
    return _injected(scene, np.column_stack(solutions) * signs[:, None])


def _reduced_problem(scene: Scene) -> tuple[Array, Array]:
    """Over the MS pixels: low-pass bands and PAN `(pixels, bands + 1)`, and the detail the bands lost."""
    bands = shrink_pan(scene.lms, scene.ratio)
    low_pass = mtf_filter(bands, scene.sensor.gains(len(bands)), scene.ratio)
    pan = scene.pan_at_ms(scene.sensor.pan_gain)
    kept = scene.ms_valid
    return np.column_stack([*low_pass[:, kept], pan[kept]]), (bands - low_pass)[:, kept].T


def _injected(scene: Scene, weights: Array) -> Array:
    """LMS plus the mixes `weights` `(bands + 1, bands)` of LMS and PAN."""
    sources = np.concatenate([scene.lms, scene.pan[None]])
    return np.asarray(scene.lms + np.tensordot(weights.T, sources, 1))
