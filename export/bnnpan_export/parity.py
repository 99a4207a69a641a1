"""How far every exported form is from the PyTorch reference, and where an export is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model import PanSharpener
from bnnpan_export.emit import FrozenNetwork, read_back
from bnnpan_export.graph.layers import SceneState
from bnnpan_export.reference import Expected, expected_product
from bnnpan_export.scenes import Scene
from bnnpan_runtime.contract import WEIGHTS_NAME, Calibration, Parity
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.graph.protocol import Backend

__all__ = [
    "LARGEST_RMS_DN",
    "LARGEST_SHARE_OVER_1DN",
    "LARGEST_TYPICAL_DN",
    "Distance",
    "check_parity",
    "measure_parity",
]

LARGEST_TYPICAL_DN = 0.002
"""Largest median difference of any row or column, DN at 11 bit.

Nearly any wrong weight sign moves most pixels by more, and a border treated wrongly moves its own line.

An activation next to its threshold takes the other sign when floats are summed in another order, and one
flipped activation moves its surroundings, some hundred pixels, by several DN. That is rare and no engine can
avoid it: the reference in single precision is as far from itself in double precision. It hardly moves the
median, so the bound there is strict; the two below only bound how often it happens.
"""
LARGEST_SHARE_OVER_1DN = 0.01
"""Share of pixels that may be off by more than 1 DN."""
LARGEST_RMS_DN = 0.25
"""RMS of all differences, DN at 11 bit."""

_DN_SCALE_OF_BOUNDS = 2047.0
Float32 = NDArray[np.float32]
_Fuse = Callable[[Scene, Expected], Float32]


@dataclass(frozen=True)
class Distance:
    """Differences to the reference in DN: what the manifest keeps, and the median of the worst line."""

    parity: Parity
    typical_dn: float
    """Over all scenes and bands, the largest median of any row or column."""


def measure_parity(
    model: PanSharpener,
    network: FrozenNetwork,
    backends: Sequence[Backend],
    scenes: Sequence[Scene],
    calibration: Calibration,
    dn_scale: float,
) -> dict[str, Distance]:
    """Distance of the frozen tensors and of every backend to `model`, over all scenes.

    A backend is measured as it flies: it calibrates the scene itself and fuses with its own affines. The
    frozen tensors (in folded form) take the reference's affines. Differences are of values not yet rounded,
    in DN of `dn_scale`, the bundle's: a scene of another bit depth counts as if it had the bundle's.
    """
    forms: dict[str, _Fuse] = {WEIGHTS_NAME: lambda scene, expected: _fuse_folded(network, scene, expected)}
    for backend in backends:
        forms[backend.name] = _backend_form(backend, calibration)
    differences: dict[str, list[Float32]] = {name: [] for name in forms}
    for scene in scenes:
        expected = expected_product(model, scene, calibration)
        scale = np.array(scene.units.ms_scale)[:, None, None] * (dn_scale / scene.dn_scale)
        for name, fuse in forms.items():
            differences[name].append(np.abs(fuse(scene, expected) - expected.hrms) * scale.astype(np.float32))
    return {name: _summary(parts) for name, parts in differences.items()}


def check_parity(distances: Mapping[str, Distance], dn_scale: float) -> None:
    """Raise `VerificationError` if any form is beyond the bounds, which grow with the largest DN."""
    scale = dn_scale / _DN_SCALE_OF_BOUNDS
    for name, found in distances.items():
        figures = {
            "largest median DN of a row or column": (found.typical_dn, LARGEST_TYPICAL_DN * scale),
            "share of pixels off by over 1 DN": (found.parity.share_over_1dn, LARGEST_SHARE_OVER_1DN),
            "RMS DN": (found.parity.rms_dn, LARGEST_RMS_DN * scale),
        }
        for figure, (value, bound) in figures.items():
            if not value <= bound:  # NaN fails too
                raise VerificationError(
                    f"{name} is too far from the PyTorch reference: {figure} is {value:.3g},"
                    f" bound {bound:.3g}; nothing was written"
                )


def _backend_form(backend: Backend, calibration: Calibration) -> _Fuse:
    def fuse(scene: Scene, _: Expected) -> Float32:
        affines = backend.calibrate(*scene.patches(calibration))
        out = np.empty_like(scene.lms)
        arena = np.empty(backend.memory(*scene.pan.shape[1:]).arena_bytes, np.uint8)
        backend.fuse(scene.pan, scene.lms, affines, out, arena)
        return out

    return fuse


def _fuse_folded(network: FrozenNetwork, scene: Scene, expected: Expected) -> Float32:
    pan, lms = torch.from_numpy(scene.pan)[None], torch.from_numpy(scene.lms)[None]
    state = SceneState(affines=torch.from_numpy(expected.affines))
    product: Float32 = read_back(network).run(pan, lms, state)[0].numpy()
    return product


def _summary(differences: Sequence[Float32]) -> Distance:
    """Over all scenes, to three digits; a pixel counts as off if any of its bands is."""
    values = np.stack(differences).astype(np.float64)
    off = (values > 1).any(axis=1)
    lines = (np.median(values, axis=(0, 1, 3)), np.median(values, axis=(0, 1, 2)))
    figures = (values.max(), np.sqrt(np.mean(values**2)), off.mean(), np.max(lines))
    *parity, typical_dn = (float(f"{figure:.3g}") for figure in figures)
    return Distance(Parity(*parity), typical_dn)
