"""Rectangles along the axes of a district: fields, city blocks, lots."""

from __future__ import annotations

import numpy as np

from bnnpan_runtime.synth.hashing import Float32, UInt32, hash_points
from bnnpan_runtime.synth.land import District

__all__ = ["Parcels", "parcel_grid", "share", "zigzag"]


class Parcels:
    """Points inside rectangles: `along` and `across` from the parcel's corner, `edge` to its nearest side."""

    def __init__(self, hashed: UInt32, along: Float32, across: Float32, length: float, depth: float) -> None:
        self.hash = hashed
        self.along = along
        self.across = across
        self.length = length
        self.depth = depth
        self.edge = np.minimum(
            np.minimum(along, np.float32(length) - along), np.minimum(across, np.float32(depth) - across)
        )


def zigzag(position: Float32, period: float) -> Float32:
    """A wave from 0 to 1 and back, in straight lines."""
    phase: Float32 = position * np.float32(1 / period)
    phase -= np.floor(phase)
    return np.asarray(np.abs(2 * phase - 1))


def share(hashed: UInt32, byte: int) -> Float32:
    """One of the four bytes of each hash as a number in [0, 1)."""
    return ((hashed >> np.uint32(8 * byte)) & np.uint32(255)).astype(np.float32) * np.float32(1 / 256)


def parcel_grid(
    district: District, u: Float32, v: Float32, length: float, depth: float, shift: float
) -> Parcels:
    """Cut the plane into rows `depth` high, each shifted by up to `shift` lengths, and rows into parcels."""
    row = np.floor(v * np.float32(1 / depth))
    row_hash = hash_points(district.hash, row.astype(np.int64), np.zeros(1, np.int64))
    along = u + share(row_hash, 0) * np.float32(shift * length)
    column = np.floor(along * np.float32(1 / length))
    across = v - row * np.float32(depth)
    along -= column * np.float32(length)
    hashed = hash_points(district.hash ^ 0x5EED, row.astype(np.int64), column.astype(np.int64))
    return Parcels(hashed, along, across, length, depth)
