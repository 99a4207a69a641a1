"""The golden tile: what the reference made of a small scene, and whether a backend makes the same of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle, Golden
from bnnpan_runtime.contract import Manifest, Window
from bnnpan_runtime.graph.protocol import Backend, DnTile, Float32, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits, image_units
from bnnpan_runtime.shrink import Shrinker
from bnnpan_runtime.tile_engine import engine_arrays, float_images, tile_engine
from bnnpan_runtime.weights import GOLDEN_SIDE, STORED_SIDE, golden_step

__all__ = ["Outcome", "golden_patches", "golden_tile", "mirrored", "run_golden", "sampled"]

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
    affines = engine.calibrate(*golden_patches(*float_images(tile, window, resampler)))
    arrays = engine_arrays(engine, resampler, len(tile.ms), GOLDEN_SIDE, GOLDEN_SIDE)
    tile_engine(engine, resampler, arrays).fuse(tile, window, affines)
    apart = np.abs(sampled(tile.product).astype(np.int32) - golden.hrms.astype(np.int32))
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
    pan, ms = mirrored(golden.pan), mirrored(golden.ms)
    resampler = Resampler(Grid(manifest.network.ratio), manifest.phase)
    window = Window(0, 0, GOLDEN_SIDE, GOLDEN_SIDE)
    area = resampler.ms_window(window)
    rows = np.clip(np.arange(area.row, area.row + area.height), 0, ms.shape[1] - 1)
    cols = np.clip(np.arange(area.col, area.col + area.width), 0, ms.shape[2] - 1)
    tile = DnTile(
        shape=TileShape.whole(GOLDEN_SIDE, GOLDEN_SIDE),
        rows=resampler.row_taps,
        cols=resampler.col_taps,
        pan=pan,
        ms=np.ascontiguousarray(ms[:, rows[:, None], cols]),
        product=np.empty((len(ms), *pan.shape), np.uint16),
        units=SceneUnits.of_bit_depth(manifest.dn_scale, len(ms)),
        pan_nodata=None,
        ms_nodata=None,
    )
    if manifest.units == "scene":
        in_dn = SceneUnits.of_bit_depth(1.0, len(ms))
        images = float_images(replace(tile, units=in_dn), window, resampler)
        seen = _shrunk(pan, window, resampler, in_dn)
        # Mirrored MS reach further where the ratio does not divide the side.
        side = -(-GOLDEN_SIDE // manifest.network.ratio)
        seen = seen[-area.row :, -area.col :][:side, :side]
        units = image_units(*images, ms[:, :side, :side], seen)
        tile = replace(tile, units=units, shrunk=_shrunk(pan, window, resampler, units))
    return tile, window, resampler


def _shrunk(pan: NDArray[np.uint16], window: Window, resampler: Resampler, units: SceneUnits) -> Float32:
    """The PAN of a scene of one window at the samples of its MS."""
    shrinker = Shrinker(resampler, *pan.shape)
    buffers = {name: np.empty(*array) for name, array in shrinker.arrays(*pan.shape).items()}
    return shrinker.shrink(np.pad(pan, shrinker.margin, "edge"), window, units, None, buffers)


def golden_patches(pan: Float32, lms: Float32) -> tuple[Float32, Float32]:
    """The tile's four quarters, which it is calibrated on: `(4, 1 or bands, 64, 64)`."""
    corners = [(row, col) for row in (0, STORED_SIDE) for col in (0, STORED_SIDE)]
    cut = [np.s_[:, row : row + STORED_SIDE, col : col + STORED_SIDE] for row, col in corners]
    return np.stack([pan[window] for window in cut]), np.stack([lms[window] for window in cut])


def mirrored(quarter: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The whole image `(..., 2 h, 2 w)` of its upper left quarter `(..., h, w)`."""
    height, width = quarter.shape[-2:]
    return np.pad(quarter, [(0, 0)] * (quarter.ndim - 2) + [(0, height), (0, width)], "symmetric")


def sampled(product: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The values of a product `(bands, height, width)` that a golden tile stores."""
    return product.reshape(-1)[:: golden_step(len(product))]
