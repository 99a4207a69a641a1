"""HQNR of a piece of a product, without any truth: how well it agrees with the PAN and the MS it is made of.

As in DLPan-Toolbox (`HQNR.m`), on blocks of 32 x 32 pixels: `D_lambda` (Khan, 2009) is 1 less the mean Q2n of
LMS and of the product as MS cameras would see it; `D_s` (Alparone, 2008) is how much the mean Q with the PAN
changes between LMS and product, mean over bands; `HQNR = (1 - D_lambda) (1 - D_s)`.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.judging.moments import BLOCK, block_corners, centred, q_index
from bnnpan_runtime.judging.q2n import q2n
from bnnpan_runtime.lowpass import blur
from bnnpan_runtime.scene_units import MS_GAIN

__all__ = ["Hqnr", "QualitySums", "low_pass", "whole_corners"]

Float32 = NDArray[np.float32]

_ONE = 2.0**32
"""Fixed point of the sums: whole numbers add up to the same in any order."""

_DIGITS = 6
"""Decimals of a figure; what is beyond them may differ between processors."""


@dataclass(frozen=True)
class Hqnr:
    """Figures of an image; distortions of 0 and a quality of 1 are best."""

    d_lambda: float
    d_s: float

    @property
    def hqnr(self) -> float:
        """Both distortions in one figure."""
        return round((1 - self.d_lambda) * (1 - self.d_s), _DIGITS)


@dataclass(frozen=True)
class QualitySums:
    """What is added up over blocks, in whole multiples of 2**-32.

    q2n      of LMS and product
    changes  per band, Q of product and PAN less that of LMS and PAN at MS resolution
    """

    blocks: int
    q2n: int
    changes: tuple[int, ...]

    @classmethod
    def none(cls, bands: int) -> QualitySums:
        """Of no block."""
        return cls(0, 0, (0,) * bands)

    @classmethod
    def of(
        cls,
        planes: tuple[Float32, Float32, Float32, Float32],
        corners: list[tuple[int, int]],
        taps: tuple[float, ...],
    ) -> QualitySums:
        """Of the blocks at these corners: PAN `(height, width)`, LMS, PAN at MS resolution, product.

        LMS and product are `(bands, height, width)`. Blocks that are flat have no Q and are left out.
        """
        pan, lms, smooth, fused = planes
        of_pan, of_smooth = centred(pan, corners), centred(smooth, corners)
        references = [centred(band, corners) for band in lms]
        changes, seen, covariances = [], [], []
        for reference, wide in zip(references, fused, strict=True):
            sharp = centred(wide, corners)
            changes.append(_q(sharp, of_pan) - _q(reference, of_smooth))
            blurred = np.zeros_like(wide)
            side = len(taps) // 2
            blurred[side : wide.shape[0] - side, side : wide.shape[1] - side] = blur(wide, taps)
            through, *stats = centred(blurred, corners)
            seen.append(stats)
            covariances.append([_covariance(other[0], through) for other in references])
        means = tuple(np.array([one[place] for one in seen]) for place in (0, 1))
        known = tuple(np.array([one[place] for one in references]) for place in (1, 2))
        usable = np.isfinite(changes).all(axis=0) & (known[1] > 0).all(axis=0)
        if not usable.any():
            return cls.none(len(lms))
        cut = np.s_[..., usable]
        # [band of the product][band of LMS] to the order of `q2n`.
        crossed = np.array(covariances).swapaxes(0, 1)[cut]
        moduli = q2n((known[0][cut], means[0][cut]), (known[1][cut], means[1][cut]), crossed)
        return cls(int(usable.sum()), _fixed(moduli), tuple(_fixed(change[usable]) for change in changes))

    def __add__(self, other: QualitySums) -> QualitySums:
        """Of the blocks of both."""
        changes = tuple(map(sum, zip(self.changes, other.changes, strict=True)))
        return QualitySums(self.blocks + other.blocks, self.q2n + other.q2n, changes)

    @property
    def figures(self) -> Hqnr | None:
        """Of all blocks; None if there is none."""
        if not self.blocks:
            return None
        share = 1 / (_ONE * self.blocks)
        d_s = math.fsum(abs(change) * share for change in self.changes) / len(self.changes)
        return Hqnr(round(1 - self.q2n * share, _DIGITS), round(d_s, _DIGITS))

    @staticmethod
    def encoded_bytes(bands: int) -> int:
        """Length of `encode`."""
        return _layout(bands).size

    def encode(self) -> bytes:
        """The sums of one block of a product, which `decode` reads."""
        return _layout(len(self.changes)).pack(self.blocks, self.q2n, *self.changes)

    @classmethod
    def decode(cls, data: bytes, bands: int) -> QualitySums:
        """From the bytes of `encode`."""
        blocks, moduli, *changes = _layout(bands).unpack(data)
        return cls(blocks, moduli, tuple(changes))


def low_pass(ratio: int) -> tuple[float, ...]:
    """Taps, an odd number, of an MS camera's Gaussian MTF on the PAN grid; at least four deviations wide."""
    sigma = ratio * math.sqrt(-2 * math.log(MS_GAIN)) / math.pi
    side = math.ceil(4 * sigma)
    weights = [math.exp(-((place / sigma) ** 2) / 2) for place in range(-side, side + 1)]
    return tuple(round(weight / sum(weights), 7) for weight in weights)


def whole_corners(
    shape: tuple[int, int], absent: NDArray[np.bool_] | None, taps: tuple[float, ...]
) -> list[tuple[int, int]]:
    """Corners of an area's blocks for which no pixel counts, through the taps, that is absent."""
    side = len(taps) // 2
    corners = list(block_corners(*shape, side))
    if absent is None or not absent.any():
        return corners
    reach = BLOCK + 2 * side
    return [
        (row, col)
        for row, col in corners
        if not absent[row - side : row - side + reach, col - side : col - side + reach].any()
    ]


def _q(
    first: tuple[NDArray[np.float64], ...], second: tuple[NDArray[np.float64], ...]
) -> NDArray[np.float64]:
    means, variances = (first[1], second[1]), (first[2], second[2])
    return q_index(means, variances, _covariance(first[0], second[0]))


def _covariance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((first * second).mean(axis=1))


def _fixed(values: NDArray[np.float64]) -> int:
    return int(np.rint(values * _ONE).astype(np.int64).sum())


def _layout(bands: int) -> struct.Struct:
    return struct.Struct(f"<Iq{bands}q")
