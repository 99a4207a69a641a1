"""Tree crowns: domes on a jittered grid, evaluated for all pixels of a window at once."""

from __future__ import annotations

import numpy as np

from bnnpan_runtime.synth.hashing import Float32, Layer, hash_points, key
from bnnpan_runtime.synth.noise import Lattice

__all__ = ["crowns"]

_CELL = 12
"""Side of the grid cells with one tree each, in PAN pixels; no crown reaches further than one cell."""

_TRUNK_PIXELS = 4
"""Height of the lowest branches."""


def crowns(lattice: Lattice, seed: int, cover: Float32) -> tuple[Float32, Float32]:
    """Height in PAN pixels (0 where no crown is) and tone of the highest crown over every pixel.

    A tree stands where its rank in [0, 1) is below `cover` `(height, width)`.
    """
    first_row, first_col = lattice.row // _CELL, lattice.col // _CELL
    count_row = (lattice.row + lattice.height - 1) // _CELL + 1 - first_row
    count_col = (lattice.col + lattice.width - 1) // _CELL + 1 - first_col
    shape = (count_row, _CELL, count_col, _CELL)
    padded = np.zeros((count_row * _CELL, count_col * _CELL), np.float32)
    offset_row, offset_col = lattice.row - first_row * _CELL, lattice.col - first_col * _CELL
    inner = (slice(offset_row, offset_row + lattice.height), slice(offset_col, offset_col + lattice.width))
    padded[inner] = cover
    density = padded.reshape(shape)

    rows = np.arange(first_row - 1, first_row + count_row + 1)[:, None]
    cols = np.arange(first_col - 1, first_col + count_col + 1)[None, :]
    trees = hash_points(key(seed, Layer.TREES), rows, cols)
    centre_row, centre_col, radius, rank = (
        ((trees >> np.uint32(8 * byte)) & np.uint32(255)).astype(np.float32) * np.float32(1 / 256)
        for byte in range(4)
    )
    inside = np.arange(_CELL, dtype=np.float32) + np.float32(0.5)
    best = np.zeros(shape, np.float32)
    tone = np.zeros(shape, np.float32)
    for i in range(3):
        for j in range(3):
            part = (slice(i, i + count_row), slice(j, j + count_col))
            reach = 4 + 4.5 * radius[part]
            down = inside - ((i - 1) * _CELL + _CELL * centre_row[part])[..., None]
            right = inside - ((j - 1) * _CELL + _CELL * centre_col[part])[..., None]
            from_row: Float32 = (reach * reach)[..., None] - down * down
            dome: Float32 = from_row.transpose(0, 2, 1)[..., None] - (right * right)[:, None]
            dome *= (1 / reach)[:, None, :, None]
            higher = (dome > best) & (rank[part][:, None, :, None] < density)
            np.copyto(best, dome, where=higher)
            np.copyto(tone, rank[part][:, None, :, None], where=higher)
    best += np.float32(_TRUNK_PIXELS) * (best > 0)
    return best.reshape(padded.shape)[inner], tone.reshape(padded.shape)[inner]
