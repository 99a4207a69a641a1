"""PAN and MS of one window as spectra over the same spatial frequencies.

A window of `n` MS pixels and the `n * ratio` PAN pixels on the same ground have the first frequencies in
common, so neither has to be resampled to be compared: the lowest part of the PAN's spectrum *is* the PAN seen
at MS resolution. Frequencies towards the MS Nyquist frequency are left out, because what the MS aliases there
moves the wrong way (Stone et al., "A fast direct Fourier-based algorithm for subpixel registration of
images", IEEE TGRS 39(10), 2001).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frequencies", "Plane", "Spectra", "spectra"]

Float64 = NDArray[np.float64]
Complex = NDArray[np.complex128]

HIGHEST = 0.7
"""Largest spatial frequency used, as a share of the MS Nyquist frequency."""

_STRIP_ROWS = 16
"""Transformed at a time."""

_LOWEST = 2.0
"""Smallest one in periods per window: below, the taper's own spectrum is all there is."""


@dataclass(frozen=True)
class Frequencies:
    """Those compared of a window of `side` MS pixels: columns 0 up, rows of both signs.

    rows, cols  angle per MS pixel, `(rows, 1)` and `(cols)`
    used        `(rows, cols)`, true without aliasing, and no conjugate of another
    """

    side: int
    rows: Float64
    cols: Float64
    used: NDArray[np.bool_]

    @classmethod
    def of(cls, side: int) -> Frequencies:
        """For windows of `side` MS pixels."""
        highest = int(HIGHEST * side / 2)
        cols = np.arange(highest + 1)
        rows = np.concatenate([cols, np.arange(-highest, 0)])[:, None]
        radius = np.hypot(rows, cols)
        used = (radius >= _LOWEST) & (radius <= highest) & ((cols > 0) | (rows > 0))
        step = 2 * math.pi / side
        return cls(side, rows * step, cols * step, used)

    @property
    def highest(self) -> int:
        """Periods per window."""
        return len(self.cols) - 1


@dataclass(frozen=True)
class Spectra:
    """Of a window, at the frequencies used: PAN `(count)`, MS `(bands, count)`."""

    pan: Complex
    ms: Complex


@dataclass(frozen=True)
class Plane:
    """DN of one band in a window `(height, width)`, its mean, and the DN that marks what is not measured."""

    dn: NDArray[Any]
    mean: float
    nodata: float | None

    @classmethod
    def of(cls, dn: NDArray[Any], nodata: float | None, enough: float) -> Plane | None:
        """A plane, if at least this share of it is measured."""
        total = count = 0
        for top in range(0, len(dn), _STRIP_ROWS):
            strip = dn[top : top + _STRIP_ROWS]
            measured = _measured(strip, nodata)
            total += strip.sum(where=measured, dtype=np.float64)
            count += int(measured.sum())
        return None if count < enough * dn.size else cls(dn, float(total / count), nodata)

    def rows(self, top: int, bottom: int) -> Float64:
        """Some rows less the mean; 0 where nothing is measured."""
        strip = self.dn[top:bottom]
        return np.where(_measured(strip, self.nodata), strip - np.float64(self.mean), 0.0)


def spectra(
    pan: Plane,
    ms: Sequence[Plane],
    frequencies: Frequencies,
    origin: tuple[float, float],
    moved: tuple[float, float],
) -> Spectra:
    """Spectra of PAN `(side * ratio, ...)` and of MS bands `(side, side)`.

    `origin` is the position of the first MS sample in PAN pixels from the first PAN pixel's centre, `moved`
    by how many PAN pixels what the MS shows is known to lie further down and right than that: the tapers of
    both then cover the same ground, lest they pull the result to zero.
    """
    length = len(pan.dn)
    ratio = length // frequencies.side
    centre = (ratio - 1) / 2
    pan_tapers = [
        _taper(np.arange(length) - (start - centre) + shift, length)
        for start, shift in zip(origin, moved, strict=True)
    ]
    ms_taper = _taper(np.arange(frequencies.side) * ratio + centre, length)
    low_pan = _low_part(pan, pan_tapers[0], pan_tapers[1], frequencies)
    low_ms = np.stack([_low_part(band, ms_taper, ms_taper, frequencies) for band in ms])
    # The first MS sample is not where the first PAN pixel is.
    angle = (frequencies.rows * origin[0] + frequencies.cols * origin[1]) / ratio
    low_ms *= np.exp(-1j * angle)
    return Spectra(low_pan[frequencies.used], low_ms[:, frequencies.used])


def _measured(dn: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.isfinite(dn)
    return finite if nodata is None else finite & (dn != nodata)


def _taper(position: Float64, length: int) -> Float64:
    """Hann's, at pixels counted from the first of `length`; 0 beyond."""
    phase = (position + 0.5) / length
    return np.where((phase > 0) & (phase < 1), np.sin(math.pi * phase) ** 2, 0.0)


def _low_part(plane: Plane, row_taper: Float64, col_taper: Float64, frequencies: Frequencies) -> Complex:
    """The lowest frequencies of a tapered plane; strip by strip, so that no float image of it is held."""
    highest, height = frequencies.highest, len(plane.dn)
    half = np.empty((height, highest + 1), np.complex128)
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, min(top + _STRIP_ROWS, height))
        strip = plane.rows(rows.start, rows.stop) * row_taper[rows, None] * col_taper
        half[rows] = np.fft.rfft(strip, axis=1)[:, : highest + 1]
    full = np.fft.fft(half, axis=0)
    return np.concatenate([full[: highest + 1], full[-highest:]])
