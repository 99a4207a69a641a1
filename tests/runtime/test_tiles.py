from __future__ import annotations

import pytest

from bnnpan_runtime.contract import Window
from bnnpan_runtime.tiles import tiles, window_shape


def test_windows_are_shifted_inwards_at_scene_edges():
    windows = [tile.window for tile in tiles(100, 300, 128, 12)]
    assert windows == [Window(0, 0, 100, 152), Window(0, 116, 100, 152), Window(0, 148, 100, 152)]


def test_the_last_cores_are_smaller():
    assert [tile.core.width for tile in tiles(100, 300, 128, 12)] == [128, 128, 44]


def test_an_odd_scene_is_padded_to_even_sides_by_the_windows_alone():
    (tile,) = tiles(99, 101, 128, 12)
    assert tile.core == Window(0, 0, 99, 101)
    assert tile.window == Window(0, 0, 100, 102)


@pytest.mark.parametrize(("tile", "halo"), [(63, 12), (64, 11), (0, 12)])
def test_odd_tiles_and_halos_are_refused(tile: int, halo: int):
    with pytest.raises(ValueError, match="even"):
        window_shape(100, 100, tile, halo)
