"""LMS: the MS image interpolated to the PAN grid by the 23-tap kernel of Aiazzi et al. (2002).

The kernel is half-band, so doubling an image again and again never changes the samples it already has
and converges to a continuous cardinal function `phi` (1 at 0, 0 at every other integer, support +-11
MS pixels). Interpolation to any ratio and phase is then one step: `sum_k ms[k] * phi(t - k)`, and it
equals the toolbox's cascade of doublings wherever `t` is dyadic.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d

from bnnpan_runtime.contract import Phase

__all__ = [
    "REACH",
    "Boundary",
    "interp23tap",
    "interpolation_taps",
    "sample_position",
    "samples_on",
    "under_samples",
]

Boundary = Literal["circular", "edge"]

REACH = 11
"""MS pixels on either side that can contribute to an interpolated value."""

# Taps at +-1, +-3, ... +-11 of the doubling filter; the one at 0 is 1, the other even ones are 0.
_ODD_TAPS = 2 * np.array(
    [0.305334091185, -0.072698593239, 0.021809577942, -0.005192756653, 0.000807762146, -0.000060081482]
)
_DOUBLINGS = 10
_BORDER_MODE = {"circular": "wrap", "edge": "nearest"}


@lru_cache(maxsize=1)
def _phi_table() -> NDArray[np.float64]:
    """`phi` at every multiple of 2**-10 MS pixel in [-REACH, REACH]."""
    kernel = np.zeros(23)
    kernel[0:11:2], kernel[11], kernel[12::2] = _ODD_TAPS[::-1], 1.0, _ODD_TAPS
    values = np.zeros(2 * REACH + 1)
    values[REACH] = 1.0
    for _ in range(_DOUBLINGS):
        spread = np.zeros(2 * len(values) - 1)
        spread[::2] = values
        values = np.convolve(spread, kernel, mode="same")
    values.setflags(write=False)
    return values


def _phi(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cardinal function: exact where `t * 2**10` is whole, else linear in between (error below 2e-6)."""
    table = _phi_table()
    return np.interp(t, np.linspace(-REACH, REACH, len(table)), table, left=0.0, right=0.0)


def interpolation_taps(offset: float) -> NDArray[np.float64]:
    """Weights of MS samples `-REACH .. REACH` for a value `offset` MS pixels past sample 0, |offset| < 1."""
    if not -1 < offset < 1:
        raise ValueError(f"interpolation offset {offset} is not within one MS pixel")
    return _phi(offset - np.arange(-REACH, REACH + 1))


def sample_position(ratio: int, phase: Phase) -> float:
    """PAN index on which MS sample 0 sits.

    "toolbox": `ratio // 2` (MATLAB's nearest-neighbour decimation and `interp23tap`; 2 at ratio 4).
    "centred": `(ratio - 1) / 2`, the true centre of the MS pixel (1.5 at ratio 4).
    """
    return ratio // 2 if phase == "toolbox" else (ratio - 1) / 2


def under_samples(mask: NDArray[np.bool_], ratio: int, phase: Phase) -> NDArray[np.bool_]:
    """The values of `mask` `(height, width)` on the PAN grid where MS samples lie."""
    first = int(sample_position(ratio, phase) + 0.5)
    return mask[first::ratio, first::ratio]


def samples_on(start: int, count: int, ratio: int, phase: Phase) -> slice:
    """The MS samples that lie on PAN positions `start .. start + count - 1`."""
    position = sample_position(ratio, phase)
    first, end = (ceil((edge - 0.5 - position) / ratio) for edge in (start, start + count))
    return slice(first, end)


def interp23tap(
    ms: ArrayLike, ratio: int = 4, phase: Phase = "toolbox", boundary: Boundary | None = None
) -> NDArray[np.float64]:
    """LMS, `(..., ratio * height, ratio * width)` float64, of `ms` `(..., height, width)` in any unit.

    The defaults are DLPan-Toolbox's `interp23tap.m`. Flight models use `phase="centred"`, which puts a real
    scene's MS in its true place. Unless given, the boundary is the phase's own: "circular" for
    "toolbox", "edge" (outermost row and column repeated) for "centred".
    """
    image: NDArray[np.float64] = np.asarray(ms, np.float64)
    boundary = boundary or ("circular" if phase == "toolbox" else "edge")
    for axis in (-2, -1):
        image = _interpolate_axis(image, ratio, phase, boundary, axis)
    return image


def _interpolate_axis(
    image: NDArray[np.float64], ratio: int, phase: Phase, boundary: Boundary, axis: int
) -> NDArray[np.float64]:
    shape = list(image.shape)
    shape[axis] *= ratio
    result = np.empty(shape)
    for remainder in range(ratio):
        taps = interpolation_taps((remainder - sample_position(ratio, phase)) / ratio)
        target: list[Any] = [slice(None)] * image.ndim
        target[axis] = slice(remainder, None, ratio)
        result[tuple(target)] = correlate1d(image, taps, axis=axis, mode=_BORDER_MODE[boundary])
    return result
