"""Training patches: random places, random appearances, reproducible to the bit after a resume."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.appearance import Appearance, BitDepthAppearance, Patch, SceneAppearance
from bnnpan.data.batch import Arrays, Batch, stacked
from bnnpan.data.pairs import Pair
from bnnpan_runtime.contract import Units
from bnnpan_runtime.errors import ConfigError

__all__ = ["VARIANT_GAINS", "Augmentation", "PatchSampler", "turned"]

log = logging.getLogger(__name__)

VARIANT_GAINS = (0.22, 0.30, 0.38)
"""MTF gains for `load_pairs(variant_gains=...)`: they span the published MS gains of the usual sensors."""

_SCENE_MARGIN = 8  # pixels kept clear of scene edges, where the LMS is made of border copies
_VALID_SHARE = 0.98  # of a patch


@dataclass(frozen=True)
class Augmentation:
    """How far training patches may differ from the scenes they are cut from."""

    vary_mtf: bool = True
    """Per patch and band, the LMS of a random one of the pair's MTF gains."""
    band_log_gain: float = 0.4
    """Each band is multiplied by exp(u), u uniform in +- this; scene units undo it."""
    common_log_gain: float = 0.7
    """PAN and all bands are multiplied by one such factor; scene units undo it."""
    simulated_pan_share: float = 0.25
    """Share of patches with a real PAN that get a random mix of the bands instead."""
    pan_noise: float = 0.003
    """Deviation of the noise on a simulated PAN, relative to its mean."""
    flips: bool = True
    """The eight flips and rotations.

    With phase "centred" the LMS of a flipped scene is the flipped LMS. With phase "toolbox" a flip moves the
    MS sampling lattice by one PAN pixel, but not the LMS against the ground truth; as patches start anywhere
    on that lattice, nothing new is shown to the network.
    """


class PatchSampler:
    """Draws batches from training pairs: first a kind by weight, then a pair of that kind, then a place.

    `weights` maps kinds to relative weights; a kind not listed weighs 1. Raises `ConfigError` for pairs that
    are not of the training split, and if no pair has room for a patch.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        weights: Mapping[str, float] | None = None,
        patch: int = 64,
        seed: int = 0,
        augmentation: Augmentation = Augmentation(),
        units: Units = "bit_depth",
    ) -> None:
        for pair in pairs:
            if pair.split != "train":
                raise ConfigError(f"{pair.name} is of the {pair.split} split: train on training pairs only")
        self._patch = patch
        self._augmentation = augmentation
        self._random = np.random.default_rng(seed)
        self._origins = {pair.name: _patch_origins(pair, patch) for pair in pairs}
        usable = [pair for pair in pairs if len(self._origins[pair.name])]
        for pair in pairs:
            if not len(self._origins[pair.name]):
                log.warning("%s has no valid %d x %d patch and is left out", pair.name, patch, patch)
        self._appearance: Appearance = (
            SceneAppearance(usable)
            if units == "scene"
            else BitDepthAppearance(augmentation.band_log_gain, augmentation.common_log_gain)
        )
        kinds = sorted({pair.kind for pair in usable})
        self._kinds = [[pair for pair in usable if pair.kind == kind] for kind in kinds]
        shares = np.array([(weights or {}).get(kind, 1.0) for kind in kinds], float)
        if not shares.sum() > 0:
            raise ConfigError(f"no weighted pair has a valid {patch} x {patch} patch: give larger scenes")
        self._thresholds = np.cumsum(shares / shares.sum())

    def sample(self, batch: int) -> Arrays:
        """The next `batch` patches."""
        return stacked([self._draw() for _ in range(batch)])

    def state(self) -> dict[str, Any]:
        """The random state as a JSON-able value; after `set_state` the same batches follow."""
        return dict(self._random.bit_generator.state)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where `state()` was taken."""
        self._random.bit_generator.state = dict(state)

    def _draw(self) -> Arrays:
        random = self._random
        choice = int(np.searchsorted(self._thresholds, random.random(), side="right"))
        group = self._kinds[min(choice, len(self._kinds) - 1)]  # the last threshold may round below 1
        pair = group[random.integers(len(group))]
        origins = self._origins[pair.name]
        row, column = divmod(int(origins[random.integers(len(origins))]), pair.gt.shape[2])
        window = np.s_[..., row : row + self._patch, column : column + self._patch]
        lms, variants = self._lms(pair, window)
        mix, noise = self._pan_mix(pair)
        pan = np.tensordot(mix, np.concatenate([pair.sharp[window], pair.pan[window]]), 1)[None]
        if noise:
            pan = pan + random.standard_normal(pan.shape) * (noise * pan.mean())
        patch = Patch(pair, window, np.asarray(pan, np.float32), lms, pair.gt[window], mix, variants)
        images, level, contrast = self._appearance(patch, random)
        turn = random.random(3) < 0.5 if self._augmentation.flips else np.zeros(3, bool)
        pan, lms, truth = (turned(image, turn) for image in images)
        return Batch(pan, lms, truth, level, contrast)

    def _lms(self, pair: Pair, window: Any) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """LMS of a patch, and which of the pair's variants each band is; None: its own LMS."""
        if not self._augmentation.vary_mtf or not len(pair.lms_variants):
            return np.asarray(pair.lms[window]), None
        picks = self._random.integers(len(pair.lms_variants), size=len(pair.lms))
        return np.stack([pair.lms_variants[pick, band][window] for band, pick in enumerate(picks)]), picks

    def _pan_mix(self, pair: Pair) -> tuple[NDArray[np.float64], float]:
        """What the PAN is mixed from, sharp bands then the pair's own PAN, and the relative noise on it."""
        augmentation, bands = self._augmentation, len(pair.gt)
        if self._random.random() >= augmentation.simulated_pan_share and not pair.simulated_pan:
            return np.append(np.zeros(bands), 1.0), 0.0
        # most PAN channels see less of the NIR than of the visible
        concentration = [1.5 if band.startswith("nir") else 2.0 for band in pair.bands]
        mix = self._random.dirichlet(concentration) * self._random.uniform(0.8, 1.2)
        return np.append(mix, 0.0), augmentation.pan_noise


def turned(image: NDArray[np.float32], turn: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`image` `(bands, height, width)` flipped vertically, horizontally, transposed as `turn` (3,) says."""
    vertical, horizontal, transposed = turn
    image = image[:, ::-1] if vertical else image
    image = image[:, :, ::-1] if horizontal else image
    return image.transpose(0, 2, 1) if transposed else image


def _patch_origins(pair: Pair, patch: int) -> NDArray[np.int64]:
    """Flat indices (row * width + column) of all patch corners with enough valid pixels."""
    height, width = pair.valid.shape
    margin = _SCENE_MARGIN if min(height, width) >= patch + 2 * _SCENE_MARGIN else 0
    if min(height, width) < patch:
        return np.empty(0, np.int64)
    sums = np.pad(np.cumsum(np.cumsum(pair.valid, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    counts = sums[patch:, patch:] - sums[:-patch, patch:] - sums[patch:, :-patch] + sums[:-patch, :-patch]
    inside = np.zeros_like(counts, dtype=bool)
    inside[margin : counts.shape[0] - margin, margin : counts.shape[1] - margin] = True
    rows, columns = np.nonzero(inside & (counts >= _VALID_SHARE * patch * patch))
    return np.asarray(rows * width + columns, np.int64)
