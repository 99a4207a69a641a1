"""The map before any detail: districts with curved borders, towns among fields, a river, gentle relief."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.synth.hashing import Float32, Layer, hash_points, key, mix_number, unit_number
from bnnpan_runtime.synth.noise import Lattice, enlarge, fractal, repeat, value_noise

__all__ = ["District", "DistrictKind", "Land", "survey"]

SPACING = 720
"""Mean distance between district centres in PAN pixels (360 m at 0.5 m)."""

_COARSE_STEP = 4
_JITTER = 0.36  # of the spacing; below 0.5 the nearest centre is always one of the 3 x 3 around a point
_FAR = np.float32(1e6)


class DistrictKind(IntEnum):
    """What a district is used for."""

    FIELDS = 0
    MEADOW = 1
    FOREST = 2
    HOUSES = 3
    INDUSTRY = 4


@dataclass(frozen=True)
class District:
    """One district: everything inside is laid out along its own two axes.

    row, col      centre in PAN pixels
    cosine, sine  direction of its first axis
    hash          source of all its random numbers
    """

    row: float
    col: float
    cosine: float
    sine: float
    kind: DistrictKind
    hash: int

    def random(self, salt: int, low: float = 0.0, high: float = 1.0) -> float:
        """A number of its own in [low, high), another one per `salt`."""
        return low + (high - low) * unit_number(self.hash, salt)

    def axes(self, rows: Float32, cols: Float32) -> tuple[Float32, Float32]:
        """Coordinates of points along the district's axes, in PAN pixels from its centre."""
        y, x = rows - np.float32(self.row), cols - np.float32(self.col)
        return self.cosine * x + self.sine * y, self.cosine * y - self.sine * x


@dataclass(frozen=True)
class Land:
    """Survey of one window; all planes are `(height, width)`.

    district  number of the district, a key of `districts`
    border    float32 distance to the nearest district border in PAN pixels
    river     float32 distance to the middle of the nearest river in PAN pixels
    bank      float32 half the river's width there
    relief    float32 slope towards the sun, deviation about 1
    """

    district: NDArray[np.int64]
    districts: dict[int, District]
    border: Float32
    river: Float32
    bank: Float32
    relief: Float32


def survey(lattice: Lattice, seed: int) -> Land:
    """Land of every pixel of `lattice` (step 1); smooth fields are computed on every 4th and interpolated."""
    coarse = lattice.coarser(_COARSE_STEP)
    number, border = _nearest_centres(coarse, seed)
    relief = fractal(coarse, seed, Layer.RELIEF, {512: 0.7, 128: 0.5, 64: 0.4})
    district = repeat(number, coarse, lattice)
    return Land(
        district=district,
        districts={int(n): _district(int(n), seed) for n in np.unique(district)},
        border=enlarge(border, coarse, lattice),
        river=enlarge(_river_distance(coarse, seed), coarse, lattice),
        bank=enlarge(26 + 7 * value_noise(coarse, seed, Layer.RIVER_WIDTH, 256), coarse, lattice),
        relief=enlarge(relief, coarse, lattice),
    )


def _nearest_centres(coarse: Lattice, seed: int) -> tuple[NDArray[np.int64], Float32]:
    """Number of the nearest district centre and distance to the bisector with the second nearest."""
    octaves = {512: 60.0, 128: 9.0}
    rows = coarse.rows().astype(np.float32) + fractal(coarse, seed, Layer.WARP_ROW, octaves)
    cols = coarse.cols().astype(np.float32) + fractal(coarse, seed, Layer.WARP_COL, octaves)
    base_row = np.floor(rows * np.float32(1 / SPACING)).astype(np.int64)
    base_col = np.floor(cols * np.float32(1 / SPACING)).astype(np.int64)
    shape = rows.shape
    number = np.zeros(shape, np.int64)
    nearest = [
        np.full(shape, _FAR * _FAR, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    ]
    second = [plane.copy() for plane in nearest]
    for step_row in (-1, 0, 1):
        for step_col in (-1, 0, 1):
            i, j = base_row + step_row, base_col + step_col
            centre_row, centre_col = _centres(i, j, seed)
            squared = (rows - centre_row) ** 2 + (cols - centre_col) ** 2
            candidate = [squared, centre_row, centre_col]
            is_first = squared < nearest[0]
            is_second = ~is_first & (squared < second[0])
            for k in range(3):
                second[k] = np.where(is_first, nearest[k], np.where(is_second, candidate[k], second[k]))
                nearest[k] = np.where(is_first, candidate[k], nearest[k])
            number = np.where(is_first, (i << 32) + (j & 0xFFFFFFFF), number)
    apart = np.sqrt((nearest[1] - second[1]) ** 2 + (nearest[2] - second[2]) ** 2)
    return number, (second[0] - nearest[0]) / (2 * apart)


def _centres(i: NDArray[np.int64], j: NDArray[np.int64], seed: int) -> tuple[Float32, Float32]:
    hashed = hash_points(key(seed, Layer.CELL), i, j)
    offset_row = (hashed & np.uint32(0xFFFF)).astype(np.float32) * np.float32(2 * _JITTER / 65536)
    offset_col = (hashed >> np.uint32(16)).astype(np.float32) * np.float32(2 * _JITTER / 65536)
    middle = np.float32(0.5 - _JITTER)
    spacing = np.float32(SPACING)
    return (i.astype(np.float32) + (middle + offset_row)) * spacing, (
        j.astype(np.float32) + (middle + offset_col)
    ) * spacing


def _district(number: int, seed: int) -> District:
    i, j = number >> 32, number & 0xFFFFFFFF
    hashed = int(hash_points(key(seed, Layer.CELL), np.array([i]), np.array([j]))[0])
    j = j - (1 << 32) if j >= 1 << 31 else j
    row = (i + 0.5 - _JITTER + (hashed & 0xFFFF) * 2 * _JITTER / 65536) * SPACING
    col = (j + 0.5 - _JITTER + (hashed >> 16) * 2 * _JITTER / 65536) * SPACING
    half_tangent = 0.35 * (2 * unit_number(hashed, 1) - 1)  # directions within +-39 degrees
    scale = 1 + half_tangent * half_tangent
    cosine, sine = (1 - half_tangent * half_tangent) / scale, 2 * half_tangent / scale
    kind = _kind(_urbanity(int(row), int(col), seed), unit_number(hashed, 2))
    return District(row, col, cosine, sine, kind, mix_number(hashed ^ seed))


def _urbanity(row: int, col: int, seed: int) -> float:
    step = 64
    lattice = Lattice(row // step, col // step, 1, 1, step)
    return float(value_noise(lattice, seed, Layer.TOWNS, 1536)[0, 0])


def _kind(urbanity: float, chance: float) -> DistrictKind:
    """Towns where urbanity is high, industry at their edge, forest and meadow among fields elsewhere."""
    if urbanity > 0.35:
        return DistrictKind.HOUSES if chance < 0.85 else DistrictKind.INDUSTRY
    if urbanity > -0.05:
        shares = ((0.3, DistrictKind.HOUSES), (0.5, DistrictKind.INDUSTRY), (0.7, DistrictKind.MEADOW))
    else:
        shares = ((0.2, DistrictKind.FOREST), (0.32, DistrictKind.MEADOW), (0.32, DistrictKind.FIELDS))
    for limit, kind in shares:
        if chance < limit:
            return kind
    return DistrictKind.FIELDS


def _river_distance(coarse: Lattice, seed: int) -> Float32:
    """Distance to the zero line of a smooth field: its value over the length of its gradient."""
    margin = replace(
        coarse, row=coarse.row - 1, col=coarse.col - 1, height=coarse.height + 2, width=coarse.width + 2
    )
    field = fractal(margin, seed, Layer.RIVER, {3072: 1.0, 768: 0.18, 256: 0.03})
    span = np.float32(1 / (2 * coarse.step))
    slope_row = (field[2:, 1:-1] - field[:-2, 1:-1]) * span
    slope_col = (field[1:-1, 2:] - field[1:-1, :-2]) * span
    slope = np.sqrt(slope_row * slope_row + slope_col * slope_col) + np.float32(1e-5)
    distance: Float32 = np.abs(field[1:-1, 1:-1] - np.float32(0.5)) / slope
    return np.minimum(distance, _FAR)
