"""Streets, houses with gardens, apartment bars, car parks and factory halls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.synth.ground import Ground, Material, bare
from bnnpan_runtime.synth.hashing import Float32, UInt32, hash_points, mix
from bnnpan_runtime.synth.land import District
from bnnpan_runtime.synth.parcels import Parcels, parcel_grid, share

__all__ = ["paint_houses", "paint_industry"]

Mask = NDArray[np.bool_]

_STREET = 6.5  # half width in PAN pixels
_PAVEMENT = 9.0


def paint_houses(district: District, u: Float32, v: Float32) -> Ground:
    """Blocks of family houses; some blocks are apartments, parks or car parks."""
    length, depth = district.random(10, 220, 340), district.random(11, 118, 160)
    blocks = parcel_grid(district, u, v, length, depth, shift=0.0)
    ground = bare(u.shape, Material.GRASS)
    kind = share(blocks.hash, 0)
    _family_houses(ground, (kind < 0.7), blocks)
    _apartments(ground, (kind >= 0.7) & (kind < 0.84), blocks)
    park = kind >= 0.93
    ground.put(park, Material.GRASS, 0.6, trees=0.45)
    path = np.abs(blocks.across - np.float32(depth / 2) - np.float32(0.2) * (blocks.along - length / 2)) < 2.5
    ground.put(park & path, Material.GRAVEL, 0.7)
    _car_park(ground, (kind >= 0.84) & (kind < 0.93), blocks)
    _streets(ground, blocks)
    return ground


def paint_industry(district: District, u: Float32, v: Float32) -> Ground:
    """Large flat halls with roof lights and ventilators, on asphalt with lorries."""
    length, depth = district.random(10, 380, 520), district.random(11, 240, 330)
    blocks = parcel_grid(district, u, v, length, depth, shift=0.0)
    ground = bare(u.shape, Material.ASPHALT, 0.55)
    count = 2 + (share(blocks.hash, 0) * 2).astype(np.int32)
    width = np.float32(length) / count
    lot = np.floor(blocks.along / width)
    hashed = _hash_again(blocks.hash, lot)
    x, y = blocks.along - lot * width, blocks.across
    margin_x, margin_y = 14 + 14 * share(hashed, 0), 22 + 40 * share(hashed, 1)
    hall = _inside(x, margin_x, width - margin_x) & _inside(y, margin_y, depth - margin_y)
    ground.put(hall, Material.FLAT_ROOF, _weathered(share(hashed, 2)), 14 + 10 * share(hashed, 3))
    _roof_details(ground, hall, x - margin_x, y - margin_y, hashed)
    _vehicles(ground, ~hall & (blocks.edge > 12), x, y, hashed, (26.0, 9.0), 0.30)
    green = ~hall & (blocks.edge < 15)
    ground.put(green, Material.GRASS, 0.45, trees=0.2)
    _streets(ground, blocks)
    return ground


def _family_houses(ground: Ground, where: Mask, blocks: Parcels) -> None:
    """Two rows of lots back to back; on each a gabled house, and here and there a pool, drive or tree."""
    count = max(int((blocks.length - 2 * _PAVEMENT) / 44), 1)
    width, depth = (blocks.length - 2 * _PAVEMENT) / count, blocks.depth / 2 - _PAVEMENT
    along = blocks.along - np.float32(_PAVEMENT)
    lot = np.floor(along * np.float32(1 / width))
    back_row = blocks.across > np.float32(blocks.depth / 2)
    hashed = _hash_again(blocks.hash, lot + 64 * back_row)
    x = along - lot * np.float32(width)
    y = np.where(back_row, np.float32(blocks.depth) - blocks.across, blocks.across) - np.float32(_PAVEMENT)
    ground.put(where, Material.GRASS, 0.2 + 0.7 * share(hashed, 0), trees=0.22)

    drive = where & _inside(x, 3, 8) & (y < 18)
    ground.put(drive, Material.GRAVEL, 0.6)
    again = mix(hashed)
    half_x = np.float32(width) * (0.24 + 0.14 * share(hashed, 1))
    half_y = np.float32(depth) * (0.17 + 0.08 * share(hashed, 2))
    dx = np.abs(x - np.float32(width / 2 + 3)) - half_x
    dy = np.abs(y - (half_y + 6 + 8 * share(hashed, 3))) - half_y
    house = where & (dx < 0) & (dy < 0)
    ridge_along = share(again, 0) < 0.6
    eaves = np.float32(7) + 5 * share(again, 1)
    height = eaves + np.float32(0.75) * np.where(ridge_along, -dy, -dx)
    tiled = share(again, 2) < 0.72
    ground.put(house & tiled, Material.TILE_ROOF, share(again, 3), height)
    ground.put(house & ~tiled, Material.FLAT_ROOF, 0.05 + 0.5 * share(again, 3), height)
    chimney = (
        house & _inside(x, width / 2, width / 2 + 2.4) & _inside(dy, -0.7 * half_y - 1.2, -0.7 * half_y + 1.2)
    )
    chimney &= y > half_y + 12
    ground.put(chimney, Material.PAINT, 0.8, height + 2)
    pool = where & (share(again, 0) > 0.88) & _inside(x, 12, 22) & _inside(y, depth - 16, depth - 8)
    ground.put(pool, Material.POOL, share(again, 1))


def _apartments(ground: Ground, where: Mask, blocks: Parcels) -> None:
    """Two flat-roofed bars with a green court between."""
    ground.put(where, Material.GRASS, 0.5, trees=0.3)
    for side in (0, 1):
        y = blocks.across if side == 0 else np.float32(blocks.depth) - blocks.across
        hashed = mix(blocks.hash ^ np.uint32(side))
        bar = where & _inside(blocks.along, 22, blocks.length - 22) & _inside(y, 16, 41)
        ground.put(bar, Material.FLAT_ROOF, _weathered(share(hashed, 0)), 20 + 10 * share(hashed, 1))
        _roof_details(ground, bar, blocks.along, y, hashed)


def _car_park(ground: Ground, where: Mask, blocks: Parcels) -> None:
    """A shop with a bright roof and rows of parked cars."""
    ground.put(where, Material.ASPHALT, 0.35)
    shop = (
        where
        & _inside(blocks.along, 16, blocks.length * 0.45)
        & _inside(blocks.across, 16, blocks.depth - 16)
    )
    ground.put(shop, Material.FLAT_ROOF, _weathered(share(blocks.hash, 1)), 12.0)
    _roof_details(ground, shop, blocks.along, blocks.across, blocks.hash)
    lot = where & _inside(blocks.along, blocks.length * 0.45 + 10, blocks.length - 14)
    lot &= _inside(blocks.across, 14, blocks.depth - 14)
    lines = _lines(blocks.along, 6.0) & (blocks.across % np.float32(24) < 20)
    ground.put(lot & lines, Material.PAINT, 0.55)
    _vehicles(ground, lot, blocks.across, blocks.along, blocks.hash, (12.0, 6.0), 0.6)


def _streets(ground: Ground, blocks: Parcels) -> None:
    """Carriageway, pavement and cars at the kerb around every block."""
    ground.put(blocks.edge < _PAVEMENT, Material.GRAVEL, 0.45, trees=0.05)
    carriageway = blocks.edge < _STREET
    ground.put(carriageway, Material.ASPHALT, 0.4)
    to_side = np.minimum(blocks.along, np.float32(blocks.length) - blocks.along)
    runs_along = to_side > blocks.edge
    position: Float32 = np.where(runs_along, blocks.along, blocks.across)
    across = blocks.edge - 2  # the kerb lane lies 2 to 6.5 pixels from the street's middle
    _vehicles(ground, carriageway & (to_side > 1), position, across, blocks.hash, (13.0, 4.5), 0.25)
    ground.put(carriageway & (blocks.edge < 0.5) & (position % np.float32(16) < 8), Material.PAINT, 0.6)


def _vehicles(
    ground: Ground,
    where: Mask,
    x: NDArray[Any],
    y: NDArray[Any],
    hashed: UInt32,
    slot: tuple[float, float],
    chance: float,
) -> None:
    """Vehicles filling most of some slots `slot` pixels long and wide."""
    length, width = slot
    column, row = np.floor(x * np.float32(1 / length)), np.floor(y * np.float32(1 / width))
    car = _hash_again(hashed, column + 1024 * row)
    dx = np.abs(x - (column + np.float32(0.5)) * np.float32(length))
    dy = np.abs(y - (row + np.float32(0.5)) * np.float32(width))
    body = where & (share(car, 0) < chance) & (dx < length * 0.37) & (dy < width * 0.40)
    colour = share(car, 1)
    ground.put(body, Material.PAINT, colour * colour, 2.5 if length < 20 else 6.0)


def _roof_details(ground: Ground, roof: Mask, x: Float32, y: Float32, hashed: UInt32) -> None:
    """Small boxes, some bright, on a flat roof."""
    column, row = np.floor(x * np.float32(1 / 12)), np.floor(y * np.float32(1 / 12))
    box = _hash_again(hashed, column + 1024 * row + 7)
    dx, dy = np.abs(x - column * 12 - 6), np.abs(y - row * 12 - 6)
    present = roof & (share(box, 0) < 0.16) & (dx < 1.5 + 2 * share(box, 1)) & (dy < 1.5 + 2 * share(box, 2))
    ground.put(present, Material.PAINT, share(box, 3), ground.height + 3)


def _lines(position: Float32, period: float) -> Mask:
    """True on a line one pixel wide every `period` pixels."""
    return np.asarray(position % np.float32(period) < 1)


def _weathered(chance: Float32) -> Float32:
    """Tone of a flat roof: most are grey, a few nearly white."""
    return np.float32(0.1) + np.float32(0.85) * chance * chance


def _inside(position: Float32, low: Float32 | float, high: Float32 | float) -> Mask:
    return np.asarray((position >= low) & (position < high))


def _hash_again(hashed: UInt32, number: Float32) -> UInt32:
    """Hash of a part, numbered by whole values, of something that has a hash."""
    return mix(hashed ^ hash_points(0, number.astype(np.int64), np.zeros(1, np.int64)))
