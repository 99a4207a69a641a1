"""What lies at each point: a material, how fresh or bright it is, how high, and whether trees stand there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.synth.hashing import Float32

__all__ = ["Ground", "Material", "bare"]


class Material(IntEnum):
    """Kinds of surface; `spectra.REFLECTANCE` has two colours of each."""

    CROP = 0
    GRASS = 1
    CANOPY = 2
    WATER = 3
    ASPHALT = 4
    TILE_ROOF = 5
    FLAT_ROOF = 6
    GRAVEL = 7
    PAINT = 8
    POOL = 9


@dataclass
class Ground:
    """Planes (or lists of points) of equal shape; painters overwrite parts of them.

    material  uint8
    tone      float32, 0 to 1 from the first to the second colour of the material
    height    float32 above the terrain, in PAN pixels
    trees     float32 share of the ground under trees
    """

    material: NDArray[np.uint8]
    tone: Float32
    height: Float32
    trees: Float32

    def put(
        self,
        where: NDArray[np.bool_],
        material: Material,
        tone: NDArray[Any] | float,
        height: NDArray[Any] | float = 0.0,
        trees: float = 0.0,
    ) -> None:
        """Cover the places where `where` is true."""
        self.material[where] = material
        np.copyto(self.tone, np.asarray(tone, np.float32), where=where)
        np.copyto(self.height, np.asarray(height, np.float32), where=where)
        np.copyto(self.trees, np.float32(trees), where=where)


def bare(shape: tuple[int, ...], material: Material, tone: float = 0.5) -> Ground:
    """Flat ground of one material."""
    return Ground(
        np.full(shape, material, np.uint8),
        np.full(shape, tone, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
