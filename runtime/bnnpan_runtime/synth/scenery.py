"""Put districts, river, roads and trees together into one ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bnnpan_runtime.synth.countryside import paint_fields, paint_forest, paint_meadow
from bnnpan_runtime.synth.ground import Ground, Material, bare
from bnnpan_runtime.synth.hashing import Float32, Layer
from bnnpan_runtime.synth.land import District, DistrictKind, Land, survey
from bnnpan_runtime.synth.noise import Lattice, enlarge, fractal
from bnnpan_runtime.synth.town import paint_houses, paint_industry
from bnnpan_runtime.synth.trees import crowns

__all__ = ["lay_out"]

_PAINTERS: Mapping[DistrictKind, Callable[[District, Float32, Float32], Ground]] = {
    DistrictKind.FIELDS: paint_fields,
    DistrictKind.MEADOW: paint_meadow,
    DistrictKind.FOREST: paint_forest,
    DistrictKind.HOUSES: paint_houses,
    DistrictKind.INDUSTRY: paint_industry,
}

_ROAD = 8.0  # half width of the roads between districts, in PAN pixels


def lay_out(lattice: Lattice, seed: int) -> tuple[Ground, Float32]:
    """Ground of every pixel of `lattice` (step 1), and its relief: slope to the sun, deviation about 1."""
    land = survey(lattice, seed)
    ground = bare((lattice.height, lattice.width), Material.GRASS)
    _paint_districts(ground, lattice, land)
    _vary_growth(ground, lattice, seed)
    _dig_river(ground, land)
    _build_roads(ground, land)
    _plant_trees(ground, lattice, seed)
    return ground, land.relief


def _paint_districts(ground: Ground, lattice: Lattice, land: Land) -> None:
    rows, cols = lattice.rows().ravel().astype(np.float32), lattice.cols().ravel().astype(np.float32)
    for number, district in land.districts.items():
        i, j = np.nonzero(land.district == number)
        painted = _PAINTERS[district.kind](district, *district.axes(rows[i], cols[j]))
        ground.material[i, j] = painted.material
        ground.tone[i, j] = painted.tone
        ground.height[i, j] = painted.height
        ground.trees[i, j] = painted.trees


def _vary_growth(ground: Ground, lattice: Lattice, seed: int) -> None:
    """Soil and moisture differ from place to place, which crops and grass show."""
    coarse = lattice.coarser(4)
    vigour = enlarge(
        fractal(coarse, seed, Layer.VIGOUR, {256: 0.05, 64: 0.045, 32: 0.04, 16: 0.03}), coarse, lattice
    )
    growing = ground.material <= Material.CANOPY
    np.copyto(ground.tone, np.clip(ground.tone + vigour, 0, 1), where=growing)


def _dig_river(ground: Ground, land: Land) -> None:
    beyond = land.river - land.bank
    ground.put(beyond < 26, Material.GRASS, 0.55, trees=0.5)
    ground.put(beyond < 4, Material.GRAVEL, 0.25)
    ground.put(beyond < 0, Material.WATER, np.clip(np.float32(0.9) + beyond * np.float32(0.03), 0.1, 1))


def _build_roads(ground: Ground, land: Land) -> None:
    water = ground.material == Material.WATER
    ground.put((land.border < _ROAD + 8) & ~water, Material.GRASS, 0.45, trees=0.22)
    ground.put(land.border < _ROAD + 1.5, Material.GRAVEL, 0.4)
    ground.put(land.border < _ROAD, Material.ASPHALT, 0.5)
    ground.put((land.border < _ROAD - 1) & (land.border > _ROAD - 1.9), Material.PAINT, 0.35)


def _plant_trees(ground: Ground, lattice: Lattice, seed: int) -> None:
    height, tone = crowns(lattice, seed, ground.trees)
    there = height > ground.height
    ground.put(there, Material.CANOPY, np.float32(0.2) + np.float32(0.8) * tone, height)
