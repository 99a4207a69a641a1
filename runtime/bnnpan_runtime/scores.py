"""Sums over pixels from which quality figures are made, so that images can be compared piece by piece."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "Correlation", "Scores"]

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """How far an image is from its reference; None where a figure is not defined.

    ergas  100 / ratio * sqrt(mean over bands of MSE / mean(reference)**2) (Wald, 2000); 0 is perfect
    sam    mean angle between the pixels' spectra in degrees, spectra of zeros left out; 0 is perfect
    psnr   mean over bands of 10 log10(peak**2 / MSE) in dB
    rmse   root mean square error of each band in DN
    """

    ergas: float | None
    sam: float | None
    psnr: float | None
    rmse: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; the names of metrics as the field writes them."""
        return {"ERGAS": self.ergas, "SAM": self.sam, "PSNR": self.psnr, "RMSE": list(self.rmse)}


class Agreement:
    """Collects an image and its reference."""

    def __init__(self, bands: int) -> None:
        self.pixels = 0
        self._squared: Float64 = np.zeros(bands)
        self._reference: Float64 = np.zeros(bands)
        self._angle = 0.0
        self._angles = 0

    def add(self, image: NDArray[Any], reference: NDArray[Any]) -> None:
        """Add pixels, `(bands, count)` each, in DN."""
        x, y = image.astype(np.float64), reference.astype(np.float64)
        self.pixels += x.shape[1]
        self._squared += np.square(x - y).sum(axis=1)
        self._reference += y.sum(axis=1)
        lengths = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
        coloured = lengths > 0
        cosines = (x * y).sum(axis=0)[coloured] / lengths[coloured]
        self._angle += float(np.arccos(np.clip(cosines, -1, 1)).sum())
        self._angles += int(coloured.sum())

    def scores(self, ratio: int, peak: float) -> Scores:
        """Figures of all pixels so far; `peak` is the largest DN."""
        count = max(self.pixels, 1)
        mse, mean = self._squared / count, self._reference / count
        return Scores(
            ergas=float(100 / ratio * np.sqrt(np.mean(mse / mean**2))) if (mean > 0).all() else None,
            sam=math.degrees(self._angle / self._angles) if self._angles else None,
            psnr=float(np.mean(10 * np.log10(peak**2 / mse))) if (mse > 0).all() else None,
            rmse=tuple(float(value) for value in np.sqrt(mse)),
        )


class Correlation:
    """Collects the bands of an image and one plane to correlate each with."""

    def __init__(self, bands: int) -> None:
        self._pixels = 0
        self._x: Float64 = np.zeros(bands)
        self._xx: Float64 = np.zeros(bands)
        self._xy: Float64 = np.zeros(bands)
        self._y = self._yy = 0.0

    def add(self, image: NDArray[Any], plane: NDArray[Any]) -> None:
        """Add pixels: `(bands, count)` and `(count)`."""
        x, y = image.astype(np.float64), plane.astype(np.float64)
        self._pixels += y.size
        self._x += x.sum(axis=1)
        self._xx += np.square(x).sum(axis=1)
        self._xy += (x * y).sum(axis=1)
        self._y += float(y.sum())
        self._yy += float(np.square(y).sum())

    def mean(self) -> float | None:
        """Correlation coefficient, mean over bands; None if one of the images is flat."""
        count = max(self._pixels, 1)
        spread = (self._xx - self._x**2 / count) * (self._yy - self._y**2 / count)
        if not (spread > 0).all():
            return None
        return float(np.mean((self._xy - self._x * self._y / count) / np.sqrt(spread)))
