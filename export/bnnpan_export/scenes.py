"""Small scenes an export is checked on: real validation pairs, or a structured synthetic one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bnnpan.data.appearance import in_units, pair_units
from bnnpan.data.lms import interp23tap
from bnnpan.data.wald import sampled_by_ms, seen_by_ms
from bnnpan_runtime.contract import Calibration, Phase, Units
from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.scene_units import SceneUnits, image_units
from bnnpan_runtime.weights import GOLDEN_SIDE

__all__ = ["RawScene", "Scene", "real_scenes", "synthetic_scene"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Inputs of the network in `units`: PAN `(1, side, side)`, LMS `(bands, side, side)`, float32.

    `dn_scale` is the scene's own, `2**bits - 1`.
    """

    name: str
    dn_scale: float
    units: SceneUnits
    pan: Float32
    lms: Float32

    @classmethod
    def of_dn(
        cls,
        name: str,
        pan: NDArray[Any],
        lms: NDArray[Any],
        units: SceneUnits,
        dn_scale: float,
        pan_low: NDArray[Any] | None = None,
    ) -> Scene:
        """PAN and LMS in DN, and for scene units the PAN as MS sees it (`seen_by_ms`)."""
        pan, lms = pan.astype(np.float32), lms.astype(np.float32)
        return cls(name, dn_scale, units, *in_units(units, pan, lms, lms, pan_low)[:2])

    def in_dn(self, hrms: Float32) -> Float32:
        """HRMS `(bands, side, side)` in DN, not rounded."""
        units = self.units
        offset, scale = (np.array(v, np.float32)[:, None, None] for v in (units.ms_offset, units.ms_scale))
        return np.asarray(hrms * scale + offset, np.float32)

    def patches(self, calibration: Calibration) -> tuple[Float32, Float32]:
        """Calibration patches `(count, 1 or bands, patch, patch)`: the scene's cells, repeated cyclically."""
        return _cells(self.pan, calibration), _cells(self.lms, calibration)


@dataclass(frozen=True)
class RawScene:
    """A scene as delivered, uint16 DN: PAN `(side, side)`, MS `(bands, ...)` of all pixels that touch it."""

    pan: NDArray[np.uint16]
    ms: NDArray[np.uint16]
    ratio: int

    def scene(self, name: str, phase: Phase, units: Units, dn_scale: float) -> Scene:
        """Interpolate the MS, its outermost pixels repeated beyond the edge, and go to network units.

        Scene units are those of the whole scene, which its patches cover.
        """
        pan, (height, width) = self.pan[None], self.pan.shape
        lms = interp23tap(self.ms, self.ratio, phase, "edge")[:, :height, :width]
        if units == "bit_depth":
            return Scene.of_dn(name, pan, lms, SceneUnits.of_bit_depth(dn_scale, len(lms)), dn_scale)
        (seen,) = sampled_by_ms(pan, self.ratio, phase)
        found = image_units(pan, lms, self.ms[:, : seen.shape[0], : seen.shape[1]], seen)
        return Scene.of_dn(name, pan, lms, found, dn_scale, seen_by_ms(pan, self.ratio, phase))


def synthetic_scene(
    bands: int, ratio: int, bit_depth: int, seed: int = 1, side: int = GOLDEN_SIDE
) -> RawScene:
    """Structure of several scales, sharp edges and correlated bands; the same for the same arguments."""
    random = np.random.default_rng(seed)
    top = 2**bit_depth - 1
    whole = -(-side // ratio) * ratio
    ground = sum(
        weight * _smooth_noise(random, whole, sigma)
        for weight, sigma in ((1.0, 16.0), (0.6, 5.0), (0.35, 1.5), (0.1, 0.5))
    )
    ground = ground + _roofs(random, whole)
    spectral = np.stack(
        [ground * random.uniform(0.7, 1.3) + 0.4 * _smooth_noise(random, whole, 6.0) for _ in range(bands)]
    )
    levels = top * np.linspace(0.1, 0.2, bands)[:, None, None]
    truth = levels * np.exp(0.25 * spectral)
    cells = truth.reshape(bands, whole // ratio, ratio, whole // ratio, ratio)
    pan, ms = (
        np.clip(np.rint(image), 0, top).astype(np.uint16) for image in (truth.mean(0), cells.mean((2, 4)))
    )
    return RawScene(pan[:side, :side], ms, ratio)


def real_scenes(
    manifest: Path, band_roles: Sequence[str], ratio: int, phase: Phase, units: Units
) -> list[Scene]:
    """Two tiles of every validation pair of a data manifest: its upper left corner and its middle.

    For scene units, those without NoData. Raises `ConfigError` if the manifest cannot be used or no pair has
    the bands and the size.
    """
    from bnnpan.data.pairs import load_pairs

    side = GOLDEN_SIDE
    scenes = []
    for pair in load_pairs(manifest, "val", band_roles, ratio, phase):
        height, width = pair.pan.shape[1:]
        pan_low = seen_by_ms(pair.pan, pair.ratio, pair.phase)
        dn = SceneUnits.of_bit_depth(pair.dn_scale, len(pair.lms))
        found = dn if units == "bit_depth" else pair_units(pair)
        middle = ((height - side) // 4 * 2, (width - side) // 4 * 2)
        for row, col in sorted({(0, 0), middle}) if min(height, width) >= side else []:
            window = np.s_[:, row : row + side, col : col + side]
            if units == "bit_depth" or pair.valid[window[1:]].all():
                facts = (f"{pair.name}[{row},{col}]", pair.pan[window], pair.lms[window], found)
                scenes.append(Scene.of_dn(*facts, pair.dn_scale, pan_low[window]))
    if not scenes:
        raise ConfigError(
            f"{manifest}: no validation pair of at least {side} pixels has the bands {', '.join(band_roles)}"
        )
    return scenes


def _cells(image: Float32, calibration: Calibration) -> Float32:
    patch = calibration.patch
    cells = [
        image[:, row : row + patch, col : col + patch]
        for row in range(0, image.shape[1] - patch + 1, patch)
        for col in range(0, image.shape[2] - patch + 1, patch)
    ]
    return np.stack([cells[index % len(cells)] for index in range(calibration.count)])


def _smooth_noise(random: np.random.Generator, side: int, sigma: float) -> NDArray[np.float64]:
    """Zero mean, unit deviation, details of about `sigma` pixels."""
    image = gaussian_filter(random.standard_normal((side, side)), sigma, mode="nearest")
    return np.asarray((image - image.mean()) / image.std())


def _roofs(random: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Rectangles of random brightness: the sharp edges of a town."""
    image = np.zeros((side, side))
    for _ in range(side // 4):
        row, col = random.integers(0, side, 2)
        height, width = random.integers(4, side // 6, 2)
        image[row : row + height, col : col + width] += random.uniform(-1, 1)
    return image
