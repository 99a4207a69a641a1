"""Smooth random fields on any rectangle of an endless plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.synth.hashing import Float32, hash_points, key, unit

__all__ = ["Lattice", "enlarge", "fractal", "repeat", "value_noise"]


@dataclass(frozen=True)
class Lattice:
    """Samples at PAN rows `step * (row + i)` and columns `step * (col + j)`, i < height, j < width."""

    row: int
    col: int
    height: int
    width: int
    step: int = 1

    def rows(self) -> NDArray[np.int64]:
        """PAN rows as a column vector."""
        return (self.step * (self.row + np.arange(self.height)))[:, None]

    def cols(self) -> NDArray[np.int64]:
        """PAN columns as a row vector."""
        return (self.step * (self.col + np.arange(self.width)))[None, :]

    def coarser(self, step: int) -> Lattice:
        """The lattice of every `step`-th pixel that is needed to `enlarge` to this one (whose step is 1)."""
        row, col = self.row // step, self.col // step
        height = (self.row + self.height - 1) // step + 2 - row
        width = (self.col + self.width - 1) // step + 2 - col
        return Lattice(row, col, height, width, step)


def value_noise(lattice: Lattice, seed: int, layer: int, spacing: int) -> Float32:
    """Field `(height, width)` of mean 0 and deviation about 1: hashed values every `spacing` PAN pixels.

    They are the coefficients of a quadratic B-spline: smooth, and without a transcendental function.
    `spacing` is a multiple of the lattice's step.
    """
    period = spacing // lattice.step
    first_row, first_col = lattice.row // period, lattice.col // period
    last_row = (lattice.row + lattice.height - 1) // period
    last_col = (lattice.col + lattice.width - 1) // period
    lattice_rows = np.arange(first_row - 1, last_row + 2)[:, None]
    lattice_cols = np.arange(first_col - 1, last_col + 2)[None, :]
    # Uniform in +-1 has deviation 0.577; the spline averages it to 0.55 of that.
    values = unit(hash_points(key(seed, layer) ^ spacing, lattice_rows, lattice_cols)) * np.float32(6.3)
    values -= np.float32(3.15)
    rows = _spline(values, period, lattice.row - first_row * period, lattice.height)
    return np.ascontiguousarray(_spline(rows.T, period, lattice.col - first_col * period, lattice.width).T)


def fractal(lattice: Lattice, seed: int, layer: int, octaves: dict[int, float]) -> Float32:
    """Sum of noise: spacing in PAN pixels -> deviation."""
    total = np.zeros((lattice.height, lattice.width), np.float32)
    for spacing, deviation in octaves.items():
        total += value_noise(lattice, seed, layer, spacing) * np.float32(deviation)
    return total


def enlarge(field: Float32, coarse: Lattice, lattice: Lattice) -> Float32:
    """Bilinear interpolation of a coarse field to every pixel of `lattice`."""
    step = coarse.step
    rows = _linear(field, step, lattice.row - coarse.row * step, lattice.height)
    return _linear(rows.T, step, lattice.col - coarse.col * step, lattice.width).T


def repeat(field: NDArray[Any], coarse: Lattice, lattice: Lattice) -> NDArray[Any]:
    """Nearest coarse sample of every pixel of `lattice`."""
    half = coarse.step // 2
    rows = (lattice.row + half + np.arange(lattice.height)) // coarse.step - coarse.row
    cols = (lattice.col + half + np.arange(lattice.width)) // coarse.step - coarse.col
    return np.asarray(field[rows][:, cols])


def _spline(values: Float32, period: int, start: int, count: int) -> Float32:
    """Along axis 0: samples `start` to `start + count` of a B-spline, `period` samples per coefficient."""
    t = ((np.arange(period) + 0.5) / period).astype(np.float32)[None, :, None]
    before, here, after = values[:-2, None], values[1:-1, None], values[2:, None]
    half = np.float32(0.5)
    result = before * (half * (1 - t) * (1 - t))
    result += here * (half + t - t * t)
    result += after * (half * t * t)
    return result.reshape(-1, values.shape[1])[start : start + count]


def _linear(values: Float32, period: int, start: int, count: int) -> Float32:
    """Along axis 0: results `start` to `start + count` of straight lines, `period` results per sample."""
    t = (np.arange(period) / period).astype(np.float32)[None, :, None]
    result = values[:-1, None] + (values[1:] - values[:-1])[:, None] * t
    return np.asarray(result.reshape(-1, values.shape[1])[start : start + count])
