"""Cut a scene into tiles: cores that are written, windows (core and halo) that are computed.

All windows of a run have the same shape, so buffers are allocated once and an engine that plans memory per
shape plans once. At scene edges a window is shifted inwards, never shrunk: it then holds more than it must.
Its border is either a true scene edge, which the network pads with zeros, or at least a halo from the core.
"""

from __future__ import annotations

from collections.abc import Iterator

from bnnpan_runtime.contract import Tile, Window

__all__ = ["even", "tile_around", "tile_count", "tiles", "window_shape"]


def even(length: int) -> int:
    """The length with an odd last row or column repeated once: the network halves both sides."""
    return length + length % 2


def window_shape(height: int, width: int, tile: int, halo: int) -> tuple[int, int]:
    """Height and width, both even, of every window of a scene, in PAN pixels; tile and halo must be even."""
    if tile < 2 or tile % 2 or halo < 0 or halo % 2:
        raise ValueError(f"tile {tile} and halo {halo} must be even, the tile at least 2")
    return min(tile + 2 * halo, even(height)), min(tile + 2 * halo, even(width))


def tile_count(height: int, width: int, tile: int) -> int:
    """Number of tiles of a scene."""
    return -(-height // tile) * -(-width // tile)


def tiles(height: int, width: int, tile: int, halo: int) -> Iterator[Tile]:
    """Tiles of a `height x width` scene, row by row.

    Cores partition the scene; windows lie in the scene padded to even sides and start on even pixels.
    """
    shape = window_shape(height, width, tile, halo)
    index = 0
    for row in range(0, height, tile):
        for col in range(0, width, tile):
            core = Window(row, col, min(tile, height - row), min(tile, width - col))
            yield tile_around(core, index, (height, width), shape, halo)
            index += 1


def tile_around(
    core: Window, index: int, scene_shape: tuple[int, int], shape: tuple[int, int], halo: int
) -> Tile:
    """The tile of a core on even pixels: its window of `shape`, moved into the scene where it reaches out."""
    top = _start(core.row - halo, shape[0], even(scene_shape[0]))
    left = _start(core.col - halo, shape[1], even(scene_shape[1]))
    return Tile(index, core, Window(top, left, *shape))


def _start(wanted: int, side: int, length: int) -> int:
    return min(max(wanted, 0), length - side)
