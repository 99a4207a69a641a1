"""From ground to radiance: sunlight on slopes, cast shadows, fine texture, colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnnpan_runtime.synth.ground import Ground, Material
from bnnpan_runtime.synth.hashing import Float32, Layer, hash_points, key
from bnnpan_runtime.synth.noise import Lattice, value_noise
from bnnpan_runtime.synth.scenery import lay_out
from bnnpan_runtime.synth.spectra import Camera

__all__ = ["radiance"]

_SUN_STEP = (2, 1)
"""Towards the sun in PAN pixels (rows, columns): south-south-east, shadows fall up and to the left."""

_SHADOW_STEPS = 16  # a power of two
_DROP = np.float32(2.7)
"""What a sun ray loses in height over one step (2.24 pixels): an elevation of 50 degrees."""

_ABOVE_LEFT = 1
_BELOW = _SUN_STEP[0] * (_SHADOW_STEPS - 1) + 1
_RIGHT = _SUN_STEP[1] * (_SHADOW_STEPS - 1) + 1

_ROUGHNESS = {
    Material.CROP: 0.055, Material.GRASS: 0.085, Material.CANOPY: 0.16, Material.WATER: 0.02,
    Material.ASPHALT: 0.035, Material.TILE_ROOF: 0.06, Material.FLAT_ROOF: 0.03, Material.GRAVEL: 0.07,
    Material.PAINT: 0.03, Material.POOL: 0.03,
}  # fmt: skip


def radiance(lattice: Lattice, seed: int, camera: Camera) -> Float32:
    """What the camera's optics receive, in 11-bit DN: `(bands, height, width)`, sharp and free of noise."""
    around = replace(
        lattice,
        row=lattice.row - _ABOVE_LEFT,
        col=lattice.col - _ABOVE_LEFT,
        height=lattice.height + _ABOVE_LEFT + _BELOW,
        width=lattice.width + _ABOVE_LEFT + _RIGHT,
    )
    ground, relief = lay_out(around, seed)
    inner = (
        slice(_ABOVE_LEFT, _ABOVE_LEFT + lattice.height),
        slice(_ABOVE_LEFT, _ABOVE_LEFT + lattice.width),
    )
    sun = 1 - _shadow(ground.height, lattice)
    slope = _slope(ground.height, lattice)
    slope += np.float32(0.025) * relief[inner]
    brightness = (1 + slope) * _texture(ground.material[inner], lattice, seed)
    return _colour(ground, inner, brightness, sun, camera)


def _shadow(height: Float32, lattice: Lattice) -> Float32:
    """Share of direct sun that is blocked, 0 to 1: the ground is below a ray that grazes something sunwards.

    The highest ray over `n` steps is the higher of two over `n / 2` steps, one of them displaced.
    """
    rays = height
    steps = 1
    while steps < _SHADOW_STEPS:
        down, right = steps * _SUN_STEP[0], steps * _SUN_STEP[1]
        rays = np.maximum(rays[:-down, :-right], rays[down:, right:] - _DROP * np.float32(steps))
        steps *= 2
    rays = rays[_ABOVE_LEFT : _ABOVE_LEFT + lattice.height, _ABOVE_LEFT : _ABOVE_LEFT + lattice.width]
    return np.clip((rays - _centre(height, lattice)) * np.float32(0.7), 0, 1)


def _slope(height: Float32, lattice: Lattice) -> Float32:
    """Brightening of surfaces that face the sun: central differences, limited because walls are not seen."""
    rows, cols = slice(1, 1 + lattice.height), slice(1, 1 + lattice.width)
    fall = height[: lattice.height, cols] - height[2 : 2 + lattice.height, cols]
    fall *= 2
    fall += height[rows, : lattice.width]
    fall -= height[rows, 2 : 2 + lattice.width]
    fall *= np.float32(0.09)
    return np.clip(fall, -0.34, 0.24, out=fall)


def _centre(plane: Float32, lattice: Lattice) -> Float32:
    return plane[_ABOVE_LEFT : _ABOVE_LEFT + lattice.height, _ABOVE_LEFT : _ABOVE_LEFT + lattice.width]


def _texture(
    material: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], lattice: Lattice, seed: int
) -> Float32:
    """Factor around 1 with structure from 1 to 32 pixels, as rough as the material."""
    grain = hash_points(key(seed, Layer.TEXTURE), lattice.rows(), lattice.cols())
    texture = (grain >> np.uint32(16)).astype(np.float32)
    texture -= np.float32(32767.5)
    texture *= np.float32(0.5 / 18918)  # the deviation of a 16-bit uniform number is 18918
    for spacing, weight in ((2, 0.45), (5, 0.45), (14, 0.4), (32, 0.35)):
        texture += value_noise(lattice, seed, Layer.TEXTURE, spacing) * np.float32(weight)
    roughness = np.array([_ROUGHNESS[item] for item in Material], np.float32)
    texture *= roughness[material]
    texture += 1
    return np.maximum(texture, np.float32(0.3), out=texture)


def _colour(
    ground: Ground, inner: tuple[slice, slice], brightness: Float32, sun: Float32, camera: Camera
) -> Float32:
    material, tone = ground.material[inner], np.clip(ground.tone[inner], 0, 1)
    bands = np.empty((len(camera.names), *material.shape), np.float32)
    for band, out in enumerate(bands):
        np.take(camera.bright[:, band] - camera.dark[:, band], material, out=out)
        out *= tone
        out += camera.dark[:, band][material]
        out *= brightness
        out *= camera.skylight[band] + (1 - camera.skylight[band]) * sun
        out += camera.path[band]
    return bands
