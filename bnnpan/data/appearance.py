"""How a training patch looks to the network: which PAN it comes with, and in which units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bnnpan.data.lms import under_samples
from bnnpan.data.pairs import Pair
from bnnpan.data.wald import sampled_by_ms, seen_by_ms
from bnnpan_runtime.scene_units import (
    Moments,
    SceneUnits,
    add_shares,
    block_means,
    curvature,
    moments,
    scene_units,
)

__all__ = [
    "Appearance",
    "BitDepthAppearance",
    "Patch",
    "SceneAppearance",
    "band_units",
    "in_units",
    "pair_units",
]


@dataclass(frozen=True)
class Patch:
    """A window of a pair in DN, and its PAN as a mix: `pan` is `pan_mix` of the PAN's sources, maybe noisy.

    The sources are the pair's sharp bands, then its own PAN. `window` indexes the last two axes of the pair.
    `variants` says which of the pair's variants each band of the LMS is; None: the pair's own LMS.
    """

    pair: Pair
    window: tuple[Any, ...]
    pan: NDArray[np.float32]
    lms: NDArray[np.float32]
    gt: NDArray[np.float32]
    pan_mix: NDArray[np.float64]
    variants: NDArray[np.int64] | None = None


Images = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""PAN, LMS and ground truth in network units."""

Sources = NDArray[np.float32]
"""`(bands + 1, height, width)` in DN: what PANs are mixed from."""

Bands = NDArray[np.float32]
"""One value per band."""


class Appearance(Protocol):
    """Puts patches into network units."""

    def __call__(self, patch: Patch, random: Generator) -> tuple[Images, Bands, Bands]:
        """The patch's images, and `level` and `contrast` of its bands as in `Batch`.

        What is random about them is drawn from `random`.
        """
        ...


@dataclass(frozen=True)
class BitDepthAppearance:
    """DN over the bit depth, times random gains that stand for other sensors and other light.

    band_log_gain     each band is multiplied by exp(u), u uniform in +- this; LMS and ground truth alike
    common_log_gain   PAN and all bands are multiplied by one such factor
    """

    band_log_gain: float
    common_log_gain: float

    def __call__(self, patch: Patch, random: Generator) -> tuple[Images, Bands, Bands]:  # noqa: D102
        spread, common_spread = self.band_log_gain, self.common_log_gain
        common = np.exp(random.uniform(-common_spread, common_spread)) / patch.pair.dn_scale
        per_band = common * np.exp(random.uniform(-spread, spread, size=len(patch.gt)))
        gains = per_band.astype(np.float32)[:, None, None]
        images = patch.pan * np.float32(common), patch.lms * gains, patch.gt * gains
        return images, np.zeros(len(gains), np.float32), np.ones(len(gains), np.float32)


class SceneAppearance:
    """Scene units, which gains of bands and light cannot change: only the mix of the PAN matters."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._moments: Mapping[str, Moments] = {pair.name: _moments(pair) for pair in pairs}
        self._low: Mapping[str, Sources] = {pair.name: _low(pair) for pair in pairs}
        self._details = {pair.name: _details(pair) for pair in pairs}

    def __call__(self, patch: Patch, random: Generator) -> tuple[Images, Bands, Bands]:  # noqa: D102
        mean, covariance = self._moments[patch.pair.name]
        bands = len(patch.gt)
        choice = np.zeros((bands + 1, len(mean)))
        choice[:bands, :bands] = np.eye(bands)
        choice[bands, bands:] = patch.pan_mix
        units = scene_units(choice @ mean, choice @ covariance @ choice.T, self._chosen_details(patch))
        # Without the noise of a simulated PAN, little of which passes.
        pan_low = np.tensordot(patch.pan_mix, self._low[patch.pair.name][patch.window], 1)[None]
        images = in_units(units, patch.pan, patch.lms, patch.gt, pan_low)
        return images, *band_units(units, patch.pair.dn_scale)

    def _chosen_details(self, patch: Patch) -> NDArray[np.float64]:
        details, bands = self._details[patch.pair.name], len(patch.gt)
        choice = np.zeros((bands + 1, len(details)))
        for band in range(bands):
            variant = 0 if patch.variants is None else 1 + int(patch.variants[band])
            choice[band, variant * bands + band] = 1
        choice[bands, -len(patch.pan_mix) :] = patch.pan_mix
        return np.asarray(choice @ details @ choice.T)


def pair_units(pair: Pair) -> SceneUnits:
    """Scene units of a whole pair as it is, from all its valid blocks."""
    (mean, covariance), details = _moments(pair), _details(pair)
    bands = range(len(pair.gt))
    kept, seen = [*bands, len(mean) - 1], [*bands, len(details) - 1]
    return scene_units(mean[kept], covariance[np.ix_(kept, kept)], details[np.ix_(seen, seen)])


def band_units(units: SceneUnits, dn_scale: float) -> tuple[Bands, Bands]:
    """Level and contrast of bands in `units`, as `Batch` has them."""
    level, contrast = (np.array(dn, float) / dn_scale for dn in (units.ms_offset, units.ms_scale))
    return level.astype(np.float32), contrast.astype(np.float32)


def in_units(
    units: SceneUnits,
    pan: NDArray[np.float32],
    lms: NDArray[np.float32],
    gt: NDArray[np.float32],
    pan_low: NDArray[np.floating[Any]] | None = None,
) -> Images:
    """PAN `(1, height, width)`, LMS and ground truth `(bands, height, width)` from DN to network units.

    `pan_low` is the PAN as MS sees it (`seen_by_ms`), which only units that inject nothing can do without.
    """
    offset, scale = (np.array(v, np.float32)[:, None, None] for v in (units.ms_offset, units.ms_scale))
    pan_scale = np.float32(units.pan_scale)
    bands = (lms - offset) / scale
    if units.injects:
        if pan_low is None:
            raise ValueError("units that inject detail of the PAN need the PAN as MS sees it")
        detail = ((pan - pan_low) / pan_scale).astype(np.float32)
        add_shares(units.injected, detail[0], bands)
    return (pan - np.float32(units.pan_offset)) / pan_scale, bands, (gt - offset) / scale


def _details(pair: Pair) -> NDArray[np.float64]:
    """Products of the curvature of MS, its variants, and what a PAN may be mixed from as MS sees it."""
    sources = sampled_by_ms(np.concatenate([pair.sharp, pair.pan]), pair.ratio, pair.phase)
    planes = np.concatenate([pair.ms, pair.ms_variants.reshape(-1, *pair.ms.shape[1:]), sources])
    bends = curvature(planes, under_samples(pair.valid, pair.ratio, pair.phase))
    return np.asarray(bends @ bends.T)


def _low(pair: Pair) -> Sources:
    """What a PAN may be mixed from, as MS sees it."""
    return seen_by_ms(np.concatenate([pair.sharp, pair.pan]), pair.ratio, pair.phase).astype(np.float32)


def _moments(pair: Pair) -> Moments:
    """Of LMS, sharp bands and PAN, over all blocks without nodata."""
    whole = block_means(pair.valid) == 1
    planes = (pair.lms, pair.sharp, pair.pan)
    return moments(np.concatenate([block_means(image)[:, whole] for image in planes]))
