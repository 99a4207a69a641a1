"""The golden tile: what the reference made of a small scene, and whether a backend makes the same of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bnnpan_runtime.bundle import Bundle, Golden
from bnnpan_runtime.contract import Manifest, Window
from bnnpan_runtime.graph.protocol import Backend, DnTile, Float32, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits, image_units
from bnnpan_runtime.tile_engine import engine_arrays, float_images, tile_engine
from bnnpan_runtime.weights import GOLDEN_SIDE

__all__ = ["Outcome", "golden_tile", "run_golden"]

LARGEST_SHARE_OVER_1DN = 0.01
"""Share of the golden tile's values that may differ from the PyTorch reference by more than one DN.

An activation next to its threshold takes another sign where float sums are rounded in another order, as other
processors do; one such sign moves up to about 80 pixels, half a percent of the tile.
"""

LARGEST_SHARE_CHANGED = 0.05
"""Share that may differ at all: wrong arithmetic moves most values, a flipped sign those around it."""

LARGEST_AFFINE_ERROR = 1e-3
"""Calibration is a mean over many pixels, where single signs hardly show; affines are of the order of 1."""


@dataclass(frozen=True)
class Outcome:
    """Whether the golden tile came out right; `passed` is None if it could not be run."""

    passed: bool | None
    detail: str


def run_golden(engine: Backend, bundle: Bundle) -> Outcome:
    """Calibrate on the golden tile, fuse it, and compare with the reference's product."""
    if engine.fixed_window not in (None, GOLDEN_SIDE):
        return Outcome(
            None, f"its window is {engine.fixed_window}, the golden tile {GOLDEN_SIDE} pixels a side"
        )
    golden = bundle.golden()
    tile, window, resampler = golden_tile(golden, bundle.manifest)
    count = bundle.manifest.calibration.count
    affines = engine.calibrate(*_quadrants(*float_images(tile, window, resampler), count))
    arrays = engine_arrays(engine, resampler, len(tile.ms), GOLDEN_SIDE, GOLDEN_SIDE)
    tile_engine(engine, resampler, arrays).fuse(tile, window, affines)
    apart = np.abs(tile.product.astype(np.int32) - golden.hrms.astype(np.int32))
    over, changed = float(np.mean(apart > 1)), float(np.mean(apart > 0))
    affine_error = float(np.max(np.abs(affines - golden.affines)))
    return Outcome(
        over <= LARGEST_SHARE_OVER_1DN
        and changed <= LARGEST_SHARE_CHANGED
        and affine_error <= LARGEST_AFFINE_ERROR,
        f"{engine.isa}: {changed:.2%} of the values differ (bound {LARGEST_SHARE_CHANGED:.0%}), {over:.2%} by"
        f" over 1 DN (bound {LARGEST_SHARE_OVER_1DN:.0%}), the largest by {apart.max()} DN; affines within"
        f" {affine_error:.1e} (bound {LARGEST_AFFINE_ERROR:.0e})",
    )


def golden_tile(golden: Golden, manifest: Manifest) -> tuple[DnTile, Window, Resampler]:
    """The golden tile as a scene of its own, whose edge is repeated; its product (uint16) is not made yet.

    Scene units are those of the whole tile, which is what its calibration patches cover.
    """
    resampler = Resampler(Grid(manifest.network.ratio), manifest.phase)
    window = Window(0, 0, GOLDEN_SIDE, GOLDEN_SIDE)
    area = resampler.ms_window(window)
    rows = np.clip(np.arange(area.row, area.row + area.height), 0, golden.ms.shape[1] - 1)
    cols = np.clip(np.arange(area.col, area.col + area.width), 0, golden.ms.shape[2] - 1)
    tile = DnTile(
        shape=TileShape.whole(GOLDEN_SIDE, GOLDEN_SIDE),
        rows=resampler.row_taps,
        cols=resampler.col_taps,
        pan=np.ascontiguousarray(golden.pan),
        ms=np.ascontiguousarray(golden.ms[:, rows[:, None], cols]),
        product=np.empty(golden.hrms.shape, np.uint16),
        units=SceneUnits.of_bit_depth(manifest.dn_scale, len(golden.ms)),
        pan_nodata=None,
        ms_nodata=None,
    )
    if manifest.units == "scene":
        in_dn = replace(tile, units=SceneUnits.of_bit_depth(1.0, len(golden.ms)))
        tile = replace(tile, units=image_units(*float_images(in_dn, window, resampler)))
    return tile, window, resampler


def _quadrants(pan: Float32, lms: Float32, count: int) -> tuple[Float32, Float32]:
    """The tile's four quadrants, repeated in turn to `count` patches."""
    half = GOLDEN_SIDE // 2
    corners = [(row, col) for row in (0, half) for col in (0, half)]
    cut = [corners[k % 4] for k in range(count)]
    return (
        np.stack([pan[:, row : row + half, col : col + half] for row, col in cut]),
        np.stack([lms[:, row : row + half, col : col + half] for row, col in cut]),
    )
