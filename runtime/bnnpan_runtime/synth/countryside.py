"""Fields, meadows and forests: rectangular parcels along the axes of their district."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.synth.ground import Ground, Material, bare
from bnnpan_runtime.synth.hashing import Float32
from bnnpan_runtime.synth.land import District
from bnnpan_runtime.synth.parcels import Parcels, parcel_grid, share, zigzag

__all__ = ["paint_fields", "paint_forest", "paint_meadow"]


def paint_fields(district: District, u: Float32, v: Float32) -> Ground:
    """Crops at different stages with rows and wheel tracks, some orchards, grass strips between."""
    parcels = parcel_grid(
        district, u, v, district.random(10, 260, 560), district.random(11, 90, 240), shift=1.0
    )
    kind, stage, detail = share(parcels.hash, 0), share(parcels.hash, 1), share(parcels.hash, 2)
    ground = bare(u.shape, Material.CROP)
    rows = zigzag(parcels.across, district.random(12, 3.5, 6.0))
    ground.tone[:] = np.where(kind < 0.4, 0.08 + 0.25 * stage, 0.45 + 0.5 * stage)
    ground.tone += (rows - np.float32(0.5)) * (np.float32(0.22) * detail)
    tracks = zigzag(parcels.across + 9, 44.0) * 22
    ground.tone -= ((tracks < 4.2) & (tracks > 2.4)) * np.float32(0.16) * (detail > 0.35)
    orchard = kind > 0.93
    ground.put(orchard, Material.GRASS, 0.35)
    _plant_rows(ground, orchard, parcels)
    ground.put(parcels.edge < 2.2, Material.GRASS, 0.5, trees=0.12)
    lane = (parcels.across < 7) & (share(parcels.hash, 3) < 0.3)
    ground.put(lane, Material.GRAVEL, 0.55)
    return ground


def paint_meadow(district: District, u: Float32, v: Float32) -> Ground:
    """Pastures with scattered trees, large parcels divided by hedges."""
    parcels = parcel_grid(
        district, u, v, district.random(10, 300, 600), district.random(11, 200, 400), shift=1.0
    )
    ground = bare(u.shape, Material.GRASS)
    ground.tone[:] = 0.3 + 0.5 * share(parcels.hash, 1)
    ground.trees[:] = np.where(share(parcels.hash, 0) < 0.3, 0.3, 0.04)
    ground.put(parcels.edge < 4, Material.GRASS, 0.5, trees=0.75)
    return ground


def paint_forest(district: District, u: Float32, v: Float32) -> Ground:
    """Closed canopy in stands of different age, with clearings and gravel rides."""
    parcels = parcel_grid(
        district, u, v, district.random(10, 350, 700), district.random(11, 250, 500), shift=0.0
    )
    ground = bare(u.shape, Material.GRASS, 0.35)
    kind = share(parcels.hash, 0)
    ground.trees[:] = np.where(kind < 0.12, 0.06, np.where(kind < 0.3, 0.7, 0.97))
    ground.put(parcels.edge < 3.5, Material.GRAVEL, 0.35, trees=0.0)
    return ground


def _plant_rows(ground: Ground, where: NDArray[np.bool_], parcels: Parcels) -> None:
    """Round crowns on a square grid 11 pixels wide."""
    du, dv = zigzag(parcels.along, 11.0) * np.float32(5.5), zigzag(parcels.across, 11.0) * np.float32(5.5)
    dome = np.float32(13.0) - du * du - dv * dv
    ground.put(where & (dome > 0), Material.CANOPY, 0.6, np.float32(0.6) * np.maximum(dome, 0))
