"""Tiles from DN to DN in C: the same DN as normalising, interpolating, fusing and rounding one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference_network
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape, Phase, Window
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import instruction_sets
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.protocol import DnTile, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.tile_engine import float_images
from bnnpan_runtime.units import quantise

SHAPE = NetworkShape(
    bands=3,
    ratio=4,
    channels=16,
    blocks=2,
    latent=4,
    prior_steps=2,
    outer_skip=False,
    pooled_encoder="rectified",
)
WEIGHTS = reference_network.random_weights(SHAPE, seed=1)
AFFINES = np.stack([np.ones((2, 16)), np.zeros((2, 16))], axis=1).astype(np.float32)


def tile_of(
    resampler: Resampler,
    window: Window,
    core: Window,
    dtype: type,
    nodata: tuple[int | None, int | None] = (None, None),
    units: SceneUnits | None = None,
) -> DnTile:
    rng = np.random.default_rng([window.row, window.col, window.height, window.width])
    largest = 255 if dtype is np.uint8 else 2047
    area = resampler.ms_window(window)
    units = units or SceneUnits.of_bit_depth(float(largest), SHAPE.bands)
    around = rng.integers(0, largest, (window.height + 7, window.width + 5)).astype(dtype)
    return DnTile(
        shape=TileShape.of(window, core, resampler.row_taps.ratio),
        rows=resampler.row_taps,
        cols=resampler.col_taps,
        pan=around[4:-3, 2:-3],
        ms=rng.integers(0, largest, (SHAPE.bands, area.height, area.width)).astype(dtype),
        product=np.full((SHAPE.bands, core.height, core.width), 77, dtype),
        units=units,
        pan_nodata=nodata[0],
        ms_nodata=nodata[1],
        shrunk=rng.standard_normal((area.height, area.width), np.float32) if units.injects else None,
    )


def fused(backend: NativeBackend, tile: DnTile) -> NDArray[Any]:
    arena_bytes = backend.tile_arena_bytes(tile.shape, tile.rows, tile.cols)
    backend.fuse_tile(tile, AFFINES, np.full(arena_bytes, 0xFF, np.uint8))
    return tile.product.copy()


def step_by_step(backend: NativeBackend, resampler: Resampler, tile: DnTile, window: Window) -> NDArray[Any]:
    pan, lms = float_images(tile, window, resampler)
    hrms = np.empty_like(lms)
    arena = np.empty(backend.memory(window.height, window.width).arena_bytes, np.uint8)
    backend.fuse(pan, lms, AFFINES, hrms, arena)
    shape, product = tile.shape, np.empty_like(tile.product)
    rows = slice(shape.core_row, shape.core_row + shape.core_height)
    cols = slice(shape.core_col, shape.core_col + shape.core_width)
    quantise(hrms[:, rows, cols], tile.units.ms_offset, tile.units.ms_scale, product)
    return product


UNITS = (
    None,
    SceneUnits(611.7, 143.9, (407.3, 512.1, 388.8), (87.7, 101.3, 140.2), (0.9, 0.7, -0.4)),
    SceneUnits(611.7, 143.9, (407.3, 512.1, 388.8), (87.7, 101.3, 140.2), (0.0,) * 3),
    SceneUnits(0.0, 255.0, (0.0,) * 3, (255.0,) * 3, (0.0, 1.0, 0.0)),
    SceneUnits(1e9, 1e-6, (-1e20, 1e30, 5.0), (1e-38, 1e-45, 3e38), (1e30, 0.0, -1e-30)),
)
"""None stands for those of the bit depth; the last are beyond any scene."""


@settings(deadline=None, max_examples=60)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(
    ratio=st.integers(2, 6),
    phase=st.sampled_from(["toolbox", "centred"]),
    offset=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    origin=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    size=st.tuples(st.integers(1, 12), st.integers(1, 22)),
    core=st.tuples(*[st.floats(0, 1)] * 4),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    nodata=st.sampled_from([(None, None), (0, 0), (9, None), (None, 3)]),
    units=st.sampled_from(UNITS),
)
def test_a_tile_equals_its_steps_one_by_one(
    ratio: int,
    phase: Phase,
    offset: tuple[float, float],
    origin: tuple[int, int],
    size: tuple[int, int],
    core: tuple[float, ...],
    dtype: type,
    nodata: tuple[int | None, int | None],
    units: SceneUnits | None,
) -> None:
    resampler = Resampler(Grid(ratio, *offset), phase)
    height, width = 2 * size[0], 2 * size[1]
    window = Window(2 * origin[0], 2 * origin[1], height, width)
    top, left = int(core[0] * (height - 1)), int(core[1] * (width - 1))
    inner = Window(
        window.row + top,
        window.col + left,
        1 + int(core[2] * (height - top - 1)),
        1 + int(core[3] * (width - left - 1)),
    )
    tile = tile_of(resampler, window, inner, dtype, nodata, units)
    backend = NativeBackend(WEIGHTS, SHAPE)
    np.testing.assert_array_equal(fused(backend, tile), step_by_step(backend, resampler, tile, window))


@pytest.mark.parametrize("units", UNITS[:2], ids=["bit depth", "scene"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_every_instruction_set_gives_the_same_tile(dtype: type, units: SceneUnits | None) -> None:
    resampler = Resampler(Grid(4), "centred")
    tile = tile_of(resampler, Window(6, 10, 44, 78), Window(9, 13, 31, 57), dtype, units=units)
    products = {isa: fused(NativeBackend(WEIGHTS, SHAPE, isa), tile) for isa in instruction_sets()}
    for product in products.values():
        np.testing.assert_array_equal(product, products["portable"])


def test_int16_is_clipped_at_both_ends_and_float32_not_at_all() -> None:
    resampler = Resampler(Grid(4), "centred")
    window = Window(0, 0, 16, 16)
    backend = NativeBackend(WEIGHTS, SHAPE)
    products = {}
    for dtype in (np.int16, np.float32):
        tile = tile_of(resampler, window, window, dtype)
        tile.ms[...] = np.where(np.arange(tile.ms.shape[2]) % 2, 30000, -30000)
        products[dtype] = fused(backend, tile)
    assert products[np.int16].min() == -32768 and products[np.int16].max() == 32767
    expected = np.clip(np.rint(products[np.float32]), -32768, 32767)
    np.testing.assert_array_equal(products[np.int16], expected.astype(np.int16))
    assert np.abs(products[np.float32]).max() > 32768


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pan": np.zeros((16, 18), np.uint16)}, r"pan is \(16, 18\), must be contiguous \(16, 16\)"),
        ({"pan": np.zeros((16, 16), np.uint8)}, "pan is uint8; PAN, MS and product must all be one of"),
        ({"pan": np.zeros((16, 32), np.uint16)[:, ::2]}, r"pan is \(16, 16\), must be contiguous"),
        ({"pan": np.broadcast_to(np.uint16(7), (16, 16))}, r"pan is \(16, 16\), must be contiguous"),
        ({"ms": np.zeros((3, 2, 2), np.uint16)}, r"ms is \(3, 2, 2\), must be contiguous"),
        ({"shrunk": np.zeros((2, 2), np.float32)}, r"shrunk is float32 \(2, 2\), must be contiguous"),
        ({"units": SceneUnits.of_bit_depth(0.0, 3)}, "a scale is not a finite number above 0"),
        ({"units": SceneUnits.of_bit_depth(float("nan"), 3)}, "a scale is not a finite number above 0"),
        ({"units": SceneUnits.of_bit_depth(1e39, 3)}, "a scale is not a finite number above 0"),
        ({"units": replace(SceneUnits.of_bit_depth(1.0, 3), ms_scale=(1.0, 1.0, -1.0))}, "a scale is not"),
        ({"units": SceneUnits.of_bit_depth(1.0, 4)}, "ms_offset has 4 values, must be 3"),
    ],
    ids=[
        "pan size",
        "pan type",
        "pan columns",
        "one pixel",
        "ms size",
        "shrunk",
        "no scale",
        "scale not a number",
        "infinite",
        "one",
        "bands",
    ],
)
def test_a_tile_that_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    resampler = Resampler(Grid(4), "centred")
    window = Window(0, 0, 16, 16)
    tile = DnTile(**{**vars(tile_of(resampler, window, window, np.uint16)), **changes})
    with pytest.raises(BackendError, match=message):
        fused(NativeBackend(WEIGHTS, SHAPE), tile)


def test_a_tile_whose_units_inject_must_come_with_the_shrunk_pan() -> None:
    window = Window(0, 0, 16, 16)
    tile = tile_of(Resampler(Grid(4), "centred"), window, window, np.uint16, units=UNITS[1])
    with pytest.raises(ValueError, match="need the shrunk PAN"):
        replace(tile, shrunk=None)
