"""Colours: reflectance of every material in eight bands, and which bands a camera has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.synth.ground import Material

__all__ = ["Camera", "camera"]

_BANDS = ("coastal", "blue", "green", "yellow", "red", "red-edge", "nir", "nir2")

_REFLECTANCE: dict[Material, tuple[tuple[float, ...], tuple[float, ...]]] = {
    Material.CROP: (
        (0.075, 0.093, 0.135, 0.165, 0.185, 0.215, 0.255, 0.275),  # dry soil
        (0.024, 0.030, 0.075, 0.060, 0.040, 0.250, 0.520, 0.540),  # dense green crop
    ),
    Material.GRASS: (
        (0.050, 0.065, 0.115, 0.135, 0.145, 0.240, 0.310, 0.325),  # dry
        (0.026, 0.034, 0.082, 0.068, 0.050, 0.240, 0.450, 0.465),  # lush
    ),
    Material.CANOPY: (
        (0.016, 0.019, 0.036, 0.030, 0.024, 0.130, 0.260, 0.275),  # conifers
        (0.023, 0.029, 0.072, 0.055, 0.040, 0.240, 0.480, 0.500),  # broad leaves
    ),
    Material.WATER: (
        (0.042, 0.042, 0.036, 0.024, 0.017, 0.010, 0.006, 0.005),  # clear
        (0.048, 0.058, 0.072, 0.068, 0.056, 0.032, 0.016, 0.013),  # silty
    ),
    Material.ASPHALT: (
        (0.062, 0.067, 0.073, 0.077, 0.080, 0.084, 0.088, 0.090),
        (0.135, 0.145, 0.158, 0.166, 0.172, 0.178, 0.186, 0.190),
    ),
    Material.TILE_ROOF: (
        (0.055, 0.065, 0.085, 0.115, 0.150, 0.175, 0.200, 0.210),  # brown
        (0.070, 0.085, 0.120, 0.185, 0.235, 0.260, 0.285, 0.295),  # red
    ),
    Material.FLAT_ROOF: (
        (0.090, 0.100, 0.108, 0.112, 0.115, 0.120, 0.128, 0.130),  # bitumen
        (0.330, 0.365, 0.385, 0.395, 0.400, 0.400, 0.395, 0.390),  # white membrane
    ),
    Material.GRAVEL: (
        (0.095, 0.115, 0.150, 0.175, 0.190, 0.205, 0.225, 0.235),
        (0.230, 0.260, 0.305, 0.335, 0.350, 0.365, 0.385, 0.395),
    ),
    Material.PAINT: (
        (0.050, 0.055, 0.058, 0.060, 0.062, 0.066, 0.072, 0.074),  # dark
        (0.470, 0.510, 0.525, 0.530, 0.530, 0.525, 0.515, 0.510),  # white
    ),
    Material.POOL: (
        (0.260, 0.290, 0.240, 0.130, 0.085, 0.040, 0.020, 0.015),
        (0.340, 0.390, 0.350, 0.190, 0.120, 0.055, 0.025, 0.020),
    ),
}

_PATH_DN = (210, 165, 105, 80, 62, 50, 38, 34)
"""Light scattered by the air, in 11-bit DN; more at short wavelengths."""

_SKYLIGHT = (0.46, 0.40, 0.33, 0.30, 0.27, 0.24, 0.21, 0.20)
"""Light left in a shadow: the blue sky."""

_PAN_WEIGHTS = (0.02, 0.14, 0.22, 0.18, 0.18, 0.14, 0.12, 0.0)
"""Spectral response of PAN over the same bands (450 to 800 nm)."""

_DN_PER_REFLECTANCE = 2350

_BAND_SETS = {3: (1, 2, 4), 4: (1, 2, 4, 6), 8: tuple(range(8))}


class Camera:
    """Spectral side of a camera with `len(names)` bands; arrays are float32.

    dark, bright  (materials, bands) DN of the two colours of every material in full sun, without path light
    path          (bands) DN
    skylight      (bands) share of light in shadow
    pan_weights   (bands) PAN as a sum of the bands, sum 1
    """

    def __init__(self, chosen: tuple[int, ...]) -> None:
        def pick(values: tuple[float, ...]) -> NDArray[np.float32]:
            return np.array([values[i] for i in chosen], np.float32)

        colours = [_REFLECTANCE[material] for material in Material]
        self.names = tuple(_BANDS[i] for i in chosen)
        self.dark = np.stack([pick(pair[0]) for pair in colours]) * np.float32(_DN_PER_REFLECTANCE)
        self.bright = np.stack([pick(pair[1]) for pair in colours]) * np.float32(_DN_PER_REFLECTANCE)
        self.path = pick(_PATH_DN)
        self.skylight = pick(_SKYLIGHT)
        weights = pick(_PAN_WEIGHTS)
        self.pan_weights = weights / weights.sum()


def camera(bands: int) -> Camera:
    """Camera with 3 (blue, green, red), 4 (and near infrared) or 8 bands. Raises SceneError otherwise."""
    if bands not in _BAND_SETS:
        raise SceneError(f"{bands} bands: synthetic scenes have 3, 4 or 8")
    return Camera(_BAND_SETS[bands])
