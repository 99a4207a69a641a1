"""Which product pixels come from saturated ones: their DN tell, as no other pixel has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Tile, Window
from bnnpan_runtime.radiometry.corrected import CorrectedScene
from bnnpan_runtime.radiometry.levels import Bools

__all__ = ["FilledTile", "count_saturated", "saturated_rows"]

_ROWS = 64
"""Looked at together, so that masks stay small."""


class FilledTile(Protocol):
    """A tile with its corrected DN; the `Slot` of a worker is one."""

    tile: Tile
    ms_window: Window
    pan: NDArray[Any]
    ms: NDArray[Any]


def count_saturated(scene: object, filled: FilledTile) -> int:
    """Product pixels of a tile's core that are saturated; 0 if the scene is not one of raw data."""
    if not isinstance(scene, CorrectedScene):
        return 0
    return sum(int(rows.sum()) for rows in saturated_rows(scene, filled))


def saturated_rows(scene: CorrectedScene, filled: FilledTile) -> Iterator[Bools]:
    """Where a tile's core is saturated, from top to bottom: `(rows, width)` of some rows each.

    That is where PAN is, or any band in the MS pixel that the PAN pixel lies in.
    """
    if scene.radiometry is None:
        return
    dtype = np.dtype(scene.dtype)
    pan_levels, band_levels = scene.radiometry.levels(dtype, scene.pan_nodata, scene.ms_nodata)
    core, window, area = filled.tile.core, filled.tile.window, filled.ms_window
    left = core.col - window.col
    cols = (scene.grid.ms_cols(core.col, core.width) - area.col).clip(0, area.width - 1)
    for top in range(0, core.height, _ROWS):
        height = min(_ROWS, core.height - top)
        first = core.row - window.row + top
        saturated = pan_levels.is_saturated(filled.pan[first : first + height, left : left + core.width])
        rows = (scene.grid.ms_rows(core.row + top, height) - area.row).clip(0, area.height - 1)
        for levels, band in zip(band_levels, filled.ms, strict=True):
            saturated |= levels.is_saturated(band[rows[0] : rows[-1] + 1])[(rows - rows[0])[:, None], cols]
        yield saturated
