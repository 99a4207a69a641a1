"""Image blocks of 32 x 32 pixels, and what indices need to know of them: means, variances, covariances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "block_corners", "centred", "q_index"]

BLOCK = 32
"""Side of a block in pixels: that of the toolbox's demos and of published tables."""

Float64 = NDArray[np.float64]


def block_corners(height: int, width: int, margin: int) -> Iterator[tuple[int, int]]:
    """Row and column of every block that has `margin` pixels of an area around it."""
    for row in range(margin, height - margin - BLOCK + 1, BLOCK):
        for col in range(margin, width - margin - BLOCK + 1, BLOCK):
            yield row, col


def centred(plane: NDArray[np.float32], corners: list[tuple[int, int]]) -> tuple[Float64, Float64, Float64]:
    """Blocks of a plane less their means `(blocks, pixels)`, their means, and their variances `(blocks,)`."""
    blocks = np.empty((len(corners), BLOCK * BLOCK))
    for block, (row, col) in zip(blocks, corners, strict=True):
        block[...] = plane[row : row + BLOCK, col : col + BLOCK].ravel()
    means = blocks.mean(axis=1)
    blocks -= means[:, None]
    return blocks, means, np.square(blocks).mean(axis=1)


def q_index(
    means: tuple[Float64, Float64], variances: tuple[Float64, Float64], covariance: Float64
) -> Float64:
    """Q (Wang and Bovik, 2002) of each pair of blocks; not a number if both are flat, or both means are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        closeness = 2 * means[0] * means[1] / (means[0] ** 2 + means[1] ** 2)
        return np.asarray(closeness * 2 * covariance / (variances[0] + variances[1]))
