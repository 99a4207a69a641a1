"""Geometry of tiles, for any scene."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnpan_runtime.tiles import even, tile_count, tiles, window_shape

SIDES = st.integers(1, 400)
TILES = st.integers(1, 100).map(lambda half: 2 * half)
HALOS = st.integers(0, 16).map(lambda half: 2 * half)


@settings(deadline=None)
@given(SIDES, SIDES, TILES, HALOS)
def test_cores_partition_the_scene_row_by_row(height: int, width: int, tile: int, halo: int):
    seen = np.zeros((height, width), int)
    origins = []
    for item in tiles(height, width, tile, halo):
        core = item.core
        seen[core.row : core.row + core.height, core.col : core.col + core.width] += 1
        assert item.index == len(origins)
        origins.append((core.row, core.col))
    assert (seen == 1).all()
    assert origins == sorted(origins)
    assert len(origins) == tile_count(height, width, tile)


@settings(deadline=None)
@given(SIDES, SIDES, TILES, HALOS)
def test_a_window_holds_core_and_halo_or_ends_at_a_scene_edge(height: int, width: int, tile: int, halo: int):
    for item in tiles(height, width, tile, halo):
        for low, size, core_low, core_size, length in (
            (item.window.row, item.window.height, item.core.row, item.core.height, even(height)),
            (item.window.col, item.window.width, item.core.col, item.core.width, even(width)),
        ):
            assert 0 <= low <= core_low and core_low + core_size <= low + size <= length
            assert low == 0 or core_low - low >= halo
            assert low + size == length or low + size - core_low - core_size >= halo


@settings(deadline=None)
@given(SIDES, SIDES, TILES, HALOS)
def test_all_windows_have_one_even_shape_and_begin_on_even_pixels(
    height: int, width: int, tile: int, halo: int
):
    shape = window_shape(height, width, tile, halo)
    assert shape[0] % 2 == shape[1] % 2 == 0
    for item in tiles(height, width, tile, halo):
        assert (item.window.height, item.window.width) == shape
        assert item.window.row % 2 == item.window.col % 2 == 0
