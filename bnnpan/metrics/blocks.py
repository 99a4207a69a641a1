"""Images cut into square blocks, the unit in which Q and Q2n are measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "blocks", "whole_blocks"]

BLOCK = 32
"""Block side in pixels that the toolbox's demos and published tables use."""


def blocks(image: NDArray[Any], side: int = BLOCK) -> NDArray[Any]:
    """`(bands, blocks, pixels)` of `image` `(bands, height, width)`, row by row.

    Both sizes must be multiples of `side`.
    """
    bands, height, width = image.shape
    tiled = image.reshape(bands, height // side, side, width // side, side)
    return tiled.transpose(0, 1, 3, 2, 4).reshape(bands, -1, side * side)


def whole_blocks(valid: NDArray[np.bool_], side: int = BLOCK) -> NDArray[np.bool_]:
    """`(blocks,)`: which blocks hold no invalid pixel; `valid` is `(height, width)`."""
    return np.asarray(blocks(valid[None], side)[0].all(axis=-1))
