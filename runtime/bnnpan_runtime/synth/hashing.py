"""Random numbers as a pure function of (seed, layer, position), so that every window sees the same scene.

Integer hash: lowbias32 of C. Wellons' hash prospector (public domain), two multiplications per value. Only
integer operations, additions, multiplications, divisions and square roots touch pixels anywhere in this
package: these are exact or correctly rounded, so a scene has the same bytes for any window size and on any
machine.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layer", "hash_points", "key", "mix", "mix_number", "unit", "unit_number"]

UInt32 = NDArray[np.uint32]
Float32 = NDArray[np.float32]

_MASK = 0xFFFFFFFF


class Layer(IntEnum):
    """Independent random fields of one scene."""

    WARP_ROW = 1
    WARP_COL = 2
    CELL = 3
    TOWNS = 4
    RIVER = 5
    RIVER_WIDTH = 6
    RELIEF = 7
    TEXTURE = 8
    VIGOUR = 9
    TREES = 10
    PAN_NOISE = 11
    MS_NOISE = 12


def mix(values: UInt32) -> UInt32:
    """Hash each 32-bit value; a bijection without visible pattern."""
    hashed = values ^ (values >> np.uint32(16))
    hashed *= np.uint32(0x7FEB352D)
    hashed ^= hashed >> np.uint32(15)
    hashed *= np.uint32(0x846CA68B)
    hashed ^= hashed >> np.uint32(16)
    return hashed


def mix_number(value: int) -> int:
    """`mix` of one number."""
    value &= _MASK
    value ^= value >> 16
    value = value * 0x7FEB352D & _MASK
    value ^= value >> 15
    value = value * 0x846CA68B & _MASK
    return value ^ value >> 16


def key(seed: int, layer: int) -> int:
    """Key of one layer of the scene with this seed."""
    return mix_number(mix_number(seed) + 0x9E3779B9 * layer)


def hash_points(layer_key: int, rows: NDArray[Any], cols: NDArray[Any]) -> UInt32:
    """Hash of every point; whole-number `rows` and `cols` (negative too) broadcast against each other."""
    row_hash = mix(rows.astype(np.uint32) ^ np.uint32(layer_key))
    return mix(np.bitwise_xor(row_hash, cols.astype(np.uint32)))


def unit(hashed: UInt32) -> Float32:
    """Hashes as float32 in [0, 1), on a grid of 2**-24, which float32 holds exactly."""
    return (hashed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def unit_number(hashed: int, salt: int = 0) -> float:
    """One more number in [0, 1) from the same hash; another one per `salt`."""
    return (mix_number(hashed + 0x9E3779B9 * salt) >> 8) * 2.0**-24
