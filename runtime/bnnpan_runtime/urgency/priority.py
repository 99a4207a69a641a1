"""Which parts of a scene come first: what is asked for, then what shows most, clouds and gaps last.

Worth is measured on one small sample of MS per part: the entropy of its brightness, less what is as bright as
clouds and as white. It orders the work and nothing else; no pixel depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Plan, Tile, Window
from bnnpan_runtime.product import block_file
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.tiles import tiles
from bnnpan_runtime.units import Pixels

__all__ = ["first_tiles", "priority_bytes"]

Float32 = NDArray[np.float32]

_SIDE = 32
"""MS pixels along a sample."""

_REFERENCES = 16
"""Samples all over the scene, from which it is known what is dark and what is bright in it."""

_LEVELS = 64
"""Of brightness, whose entropy is taken: 6 bits at most."""

_CLOUD_LEVEL = 0.7
"""Of the range of every band, from dark to bright, above which a pixel is as bright and white as a cloud."""


@dataclass(frozen=True)
class _Range:
    """DN that are dark and bright in a scene, per band."""

    dark: Float32
    bright: Float32

    def worth(self, sample: Float32) -> float:
        """Of a sample `(bands, pixels)` that holds only measured ones; 0 to 6."""
        if not sample.size:
            return 0.0
        levels = (sample - self.dark[:, None]) / np.maximum(self.bright - self.dark, 1e-6)[:, None]
        clouded = float((levels > _CLOUD_LEVEL).all(axis=0).mean())
        steps = np.clip(levels.mean(axis=0) * _LEVELS, 0, _LEVELS - 1).astype(np.intp)
        shares = np.bincount(steps, minlength=_LEVELS) / steps.size
        present = shares[shares > 0]
        return float(-(present * np.log2(present)).sum()) * (1 - clouded)


def first_tiles(scene: Scene, plan: Plan, wanted: Window | None) -> list[Tile]:
    """All tiles of a plan, those in the wanted window first, then by worth. Raises SceneError.

    Tiles that fill blocks of the product together follow one another: half a block is worth nothing.
    """
    ordered = list(tiles(scene.height, scene.width, plan.tile, plan.halo))
    side = max(plan.tile, block_file.BLOCK)
    places = sorted({_place(tile.core, side) for tile in ordered})
    parts = {place: _part(scene, place, side) for place in places}
    levels = _levels(scene, list(parts.values()))
    ranks = {
        place: (wanted is None or not part.touches(wanted), -_worth(scene, part, levels))
        for place, part in parts.items()
    }
    return sorted(ordered, key=lambda tile: (*ranks[_place(tile.core, side)], tile.index))


def priority_bytes(scene: Scene, plan_tiles: int) -> int:
    """Memory for the order of so many tiles, and for the samples while they are read."""
    samples = 3 * 4 * (_REFERENCES + 1) * scene.bands * _SIDE**2
    return samples + 1200 * plan_tiles


def _place(core: Window, side: int) -> tuple[int, int]:
    return core.row // side, core.col // side


def _part(scene: Scene, place: tuple[int, int], side: int) -> Window:
    row, col = place[0] * side, place[1] * side
    return Window(row, col, min(side, scene.height - row), min(side, scene.width - col))


def _levels(scene: Scene, parts: Sequence[Window]) -> _Range:
    """From samples of parts that are spread over the scene."""
    chosen = parts[:: -(-len(parts) // _REFERENCES)]
    found = [sample for part in chosen if (sample := _sample(scene, part)).size]
    if not found:
        return _Range(np.zeros(scene.bands, np.float32), np.ones(scene.bands, np.float32))
    together = np.concatenate(found, axis=1)
    dark, bright = np.percentile(together, (1, 99), axis=1)
    return _Range(dark.astype(np.float32), bright.astype(np.float32))


def _worth(scene: Scene, part: Window, levels: _Range) -> float:
    """That of a sample, times the share of it that is measured."""
    sample = _sample(scene, part)
    return levels.worth(sample) * sample.shape[1] / _SIDE**2


def _sample(scene: Scene, part: Window) -> Float32:
    """MS `(bands, pixels)` in the middle of a part, where all bands are measured."""
    rows = scene.grid.ms_rows(part.row + part.height // 2, 1)
    cols = scene.grid.ms_cols(part.col + part.width // 2, 1)
    window = Window(int(rows[0]) - _SIDE // 2, int(cols[0]) - _SIDE // 2, _SIDE, _SIDE)
    ms: Pixels = np.empty((scene.bands, _SIDE, _SIDE), scene.dtype)
    scene.read_ms(window, ms)
    pixels = ms.reshape(scene.bands, -1)
    if scene.ms_nodata is not None:
        pixels = pixels[:, (pixels != scene.ms_nodata).all(axis=0)]
    return pixels.astype(np.float32)
