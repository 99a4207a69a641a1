"""Where the phase correlation of two spectra has its peak, to a small part of a pixel.

The cross-spectrum is divided by its own modulus, so that every frequency counts alike and what is left is
the shift (Kuglin and Hines, 1975). Its inverse transform is first computed on half pixels; from the largest
value on, Newton's method climbs the trigonometric polynomial itself, which upsampling around the peak
(Guizar-Sicairos et al., 2008) would only sample more finely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.registration.spectra import Frequencies, Spectra

__all__ = ["Peak", "find_peak"]

Float64 = NDArray[np.float64]
Complex = NDArray[np.complex128]

_ROUNDS = 3
"""Times that the band mix is fitted where the peak was found; the mix changes little after the second."""

_STEPS = 8
"""Of Newton's method, which doubles the digits at each."""

_SHARP = 9.0
"""Times `1 / sqrt(frequencies)`, the deviation of a sum of random phases. The highest of all places in a
window of noise reaches 6; 0.8 times the height of a perfect peak, 22, is what Landsat scenes reach."""

_RIDGE = 1e-3
"""Share of the bands' mean power added to each, so that bands that are copies of one another can be mixed."""


@dataclass(frozen=True)
class Peak:
    """How far the MS lies below and right of the PAN, in MS pixels, and how well all frequencies agree.

    sharpness  1 if the images differ by nothing but that shift
    is_sharp   whether it is higher than that of images with nothing in common
    """

    row: float
    col: float
    sharpness: float
    is_sharp: bool


def find_peak(pair: Spectra, frequencies: Frequencies) -> Peak | None:
    """The shift between PAN and the mix of bands that comes closest to it; None for flat images."""
    power = float(np.sum(np.abs(pair.ms) ** 2))
    if not power > 0 or not np.any(pair.pan):
        return None
    rows = np.broadcast_to(frequencies.rows, frequencies.used.shape)[frequencies.used]
    cols = np.broadcast_to(frequencies.cols, frequencies.used.shape)[frequencies.used]
    peak = Peak(0.0, 0.0, 0.0, False)
    for _ in range(_ROUNDS):
        turned = pair.ms * np.exp(1j * (rows * peak.row + cols * peak.col))
        cross = pair.pan * np.conj(_mixed(pair, turned, power))
        unit = cross / np.maximum(np.abs(cross), np.finfo(np.float64).tiny)
        start = _coarse(unit, frequencies)
        peak = _climbed(unit, rows, cols, start)
        if math.hypot(peak.row - start[0], peak.col - start[1]) > 1:
            return None
    return peak


def _mixed(pair: Spectra, turned: Complex, power: float) -> Complex:
    """The bands weighted so that, turned back, they come closest to the PAN."""
    bands = len(pair.ms)
    matrix = np.array([[np.sum(a.real * b.real + a.imag * b.imag) for b in pair.ms] for a in pair.ms])
    right = np.array([np.sum(a.real * pair.pan.real + a.imag * pair.pan.imag) for a in turned])
    weights = np.linalg.solve(matrix + _RIDGE * power / bands * np.eye(bands), right)
    mixed: Complex = np.sum(weights[:, None] * pair.ms, axis=0)
    return mixed


def _coarse(unit: Complex, frequencies: Frequencies) -> tuple[float, float]:
    """The largest value on half pixels."""
    size, highest = 2 * frequencies.side, frequencies.highest
    spread = np.zeros((size, frequencies.side + 1), np.complex128)
    low = np.zeros(frequencies.used.shape, np.complex128)
    low[frequencies.used] = unit
    spread[: highest + 1, : highest + 1] = low[: highest + 1]
    spread[-highest:, : highest + 1] = low[highest + 1 :]
    # The cross-spectrum turns by +angle * shift, so its conjugate peaks at -shift, counted around.
    surface = np.fft.irfft2(spread, s=(size, size))
    row, col = np.unravel_index(int(np.argmax(surface)), surface.shape)
    return _signed(-int(row), size) / 2, _signed(-int(col), size) / 2


def _signed(place: int, size: int) -> int:
    return (place + size // 2) % size - size // 2


def _climbed(unit: Complex, rows: Float64, cols: Float64, start: tuple[float, float]) -> Peak:
    """The maximum near `start`."""
    row, col = start
    for _ in range(_STEPS):
        turned = unit * np.exp(-1j * (rows * row + cols * col))
        slope = np.array([np.sum(rows * turned.imag), np.sum(cols * turned.imag)])
        both = np.sum(rows * cols * turned.real)
        bend = np.array([[np.sum(rows**2 * turned.real), both], [both, np.sum(cols**2 * turned.real)]])
        determinant = bend[0, 0] * bend[1, 1] - bend[0, 1] * bend[1, 0]
        if not (bend[0, 0] > 0 and determinant > 0):
            break
        row += float((bend[1, 1] * slope[0] - bend[0, 1] * slope[1]) / determinant)
        col += float((bend[0, 0] * slope[1] - bend[0, 1] * slope[0]) / determinant)
    turned = unit * np.exp(-1j * (rows * row + cols * col))
    sharpness = float(np.mean(turned.real))
    return Peak(row, col, sharpness, sharpness * math.sqrt(unit.size) >= _SHARP)
