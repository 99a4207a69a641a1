"""Wald's protocol: degrade a real pair by the ratio, so that its own MS becomes the ground truth.

`degrade` is DLPan-Toolbox's `resize_images.m` to the last digit. The centred functions do the same
with every low-resolution pixel at its true centre, which is how a real camera samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve

from bnnpan.data.lms import interp23tap, sample_position
from bnnpan.data.resize import cubic
from bnnpan.data.sensors import Sensor, find_sensor
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.scene_units import MS_GAIN

__all__ = [
    "degrade",
    "degrade_ms",
    "degrade_ms_centred",
    "gaussian_low_pass",
    "mtf_filter",
    "mtf_kernel",
    "sampled_by_ms",
    "seen_by_ms",
    "shrink_pan",
]

_KERNEL_SIZE = 41  # of the toolbox's MTF filters
_KAISER_BETA = 0.5  # MATLAB's default for kaiser(N)


def degrade(
    pan: ArrayLike, ms: ArrayLike, sensor: Sensor | str, ratio: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reduced-resolution PAN and MS exactly as DLPan-Toolbox makes them.

    `pan` is `(1, ratio * height, ratio * width)` or without the leading axis, `ms` `(bands, height, width)`
    with height and width multiples of `ratio`. Values keep their unit (DN) and are not rounded. The MS goes
    through the sensor's MTF and keeps sample `ratio // 2` of every `ratio`, the PAN through MATLAB's bicubic
    `imresize` with antialiasing. Raises `SceneError` if the sizes do not fit.
    """
    pan, ms = np.asarray(pan, np.float64), np.asarray(ms, np.float64)
    if pan.shape[-2:] != (ratio * ms.shape[-2], ratio * ms.shape[-1]):
        raise SceneError(
            f"PAN {pan.shape[-2:]} is not {ratio} times MS {ms.shape[-2:]}: crop both to the same ground"
        )
    return shrink_pan(pan, ratio), degrade_ms(ms, find_sensor(sensor).gains(len(ms)), ratio)


def mtf_kernel(gain: float, ratio: int) -> NDArray[np.float64]:
    """The toolbox's 41 x 41 MTF filter: Gaussian, with `gain` at the low-resolution Nyquist frequency.

    Like there, the sum is not normalised (0.9986 to 0.9989).
    """
    return _gaussian_kernel(gain, (_KERNEL_SIZE - 1) / ratio / 2)


def _gaussian_kernel(gain: float, nyquist: float) -> NDArray[np.float64]:
    """MATLAB's `fwind1` with a rotated Kaiser window: `gain` at `nyquist`, in steps of the 41 frequencies."""
    radius = _KERNEL_SIZE // 2
    deviation = np.sqrt(nyquist**2 / (-2 * np.log(gain)))
    index = np.arange(-radius, radius + 1)
    distance = np.hypot(*np.meshgrid(index, index))
    response = np.exp(-(distance**2) / (2 * deviation**2))
    impulse = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(response))).real
    window = np.interp(distance, index[radius:], np.kaiser(_KERNEL_SIZE, _KAISER_BETA)[radius:], right=0.0)
    return np.asarray(impulse * window)


def degrade_ms(ms: ArrayLike, gains: Sequence[float], ratio: int = 4) -> NDArray[np.float64]:
    """The toolbox's low-resolution MS: MTF filter, border repeated, then samples `ratio // 2 :: ratio`."""
    filtered = mtf_filter(_divisible(ms, ratio), gains, ratio)
    return filtered[:, ratio // 2 :: ratio, ratio // 2 :: ratio]


def mtf_filter(ms: ArrayLike, gains: Sequence[float], ratio: int = 4) -> NDArray[np.float64]:
    """`ms` `(bands, height, width)` through the toolbox's MTF filters, border repeated, size kept."""
    bands = np.asarray(ms, np.float64)
    return np.stack([_filter(band, mtf_kernel(gain, ratio)) for band, gain in zip(bands, gains, strict=True)])


def gaussian_low_pass(pan: ArrayLike, ratio: int = 4) -> NDArray[np.float64]:
    """`pan` `(height, width)` through the toolbox's `LPfilterGauss.m`: gain 0.3 for any sensor, size kept.

    It differs from `mtf_filter` at that gain only by a width of 41 instead of 40 frequency steps.
    """
    return _filter(np.asarray(pan, np.float64), _gaussian_kernel(0.3, _KERNEL_SIZE / ratio / 2))


def _filter(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(image, _KERNEL_SIZE // 2, mode="edge")
    return np.asarray(fftconvolve(padded, kernel, mode="valid"))


def degrade_ms_centred(ms: ArrayLike, gains: Sequence[float], ratio: int = 4) -> NDArray[np.float64]:
    """Low-resolution MS whose sample k is centred on `ratio * k + (ratio - 1) / 2`, the true pixel centre.

    A Gaussian with the given gain at the low-resolution Nyquist frequency, normalised; border repeated.
    `ms` is `(bands, height, width)`, height and width multiples of `ratio`.
    """
    return np.stack([_sampled(band, gain, ratio) for band, gain in zip(np.asarray(ms), gains, strict=True)])


def seen_by_ms(sharp: ArrayLike, ratio: int, phase: Phase) -> NDArray[np.float64]:
    """Sharp images as an MS channel would see them, interpolated back to where they were.

    `(..., height, width)` of any size. In both phases through a Gaussian of sum 1 and with repeated borders,
    as `bnnpan_runtime.shrink` makes it: samples beyond the image repeat the outermost that lies on it.
    """
    height, width = np.shape(sharp)[-2:]
    return interp23tap(sampled_by_ms(sharp, ratio, phase), ratio, phase, "edge")[..., :height, :width]


def sampled_by_ms(sharp: ArrayLike, ratio: int, phase: Phase) -> NDArray[np.float64]:
    """Sharp images as an MS channel would sample them, `(..., height / ratio, width / ratio)`, rounded up."""
    image = np.asarray(sharp, np.float64)
    size = image.shape[-2:]
    whole = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(0, -length % ratio) for length in size], "edge")
    samples = _sampled(whole, MS_GAIN, ratio, phase)
    for axis, length in zip((-2, -1), size, strict=True):
        last = math.ceil((length - 0.5 - sample_position(ratio, phase)) / ratio) - 1
        samples = samples.take(np.arange(samples.shape[axis]).clip(max=max(last, 0)), axis)
    return samples


def _sampled(image: ArrayLike, gain: float, ratio: int, phase: Phase = "centred") -> NDArray[np.float64]:
    """One sample per MS pixel on its place, through a Gaussian MTF."""
    taps = _gaussian_taps(gain, ratio, phase)
    return _reduce_axis(
        _reduce_axis(_divisible(image, ratio), taps, ratio, -2, "edge"), taps, ratio, -1, "edge"
    )


def shrink_pan(pan: ArrayLike, ratio: int = 4) -> NDArray[np.float64]:
    """PAN reduced corner on corner as MATLAB's `imresize(pan, 1/ratio)`: bicubic with antialiasing.

    Works on the last two axes, whose lengths must be multiples of `ratio`; the border is mirrored. Reduced
    pixels are centred in both phases.
    """
    image = _divisible(pan, ratio)
    taps = _cubic_taps(ratio)
    return _reduce_axis(_reduce_axis(image, taps, ratio, -2, "symmetric"), taps, ratio, -1, "symmetric")


def _divisible(image: ArrayLike, ratio: int) -> NDArray[np.float64]:
    array = np.asarray(image, np.float64)
    if array.shape[-2] % ratio or array.shape[-1] % ratio:
        raise SceneError(f"size {array.shape[-2:]} is not a multiple of the ratio {ratio}: crop it first")
    return array


def _offsets(reach: int, ratio: int, phase: Phase = "centred") -> NDArray[np.float64]:
    """Tap offsets from a sample: whole numbers if it lies on a pixel, else half-integers."""
    count = 2 * reach + (1 if phase == "toolbox" else ratio % 2)
    return np.arange(count) - (count - 1) / 2


def _gaussian_taps(gain: float, ratio: int, phase: Phase) -> NDArray[np.float64]:
    # exp(-2 (pi sigma f)**2) = gain at f = 1 / (2 ratio); 4 ratio pixels are over six deviations at gain 0.15
    sigma = ratio * np.sqrt(-2 * np.log(gain)) / np.pi
    taps = np.exp(-((_offsets(4 * ratio, ratio, phase) / sigma) ** 2) / 2)
    return np.asarray(taps / taps.sum())


def _cubic_taps(ratio: int) -> NDArray[np.float64]:
    taps = cubic(_offsets(2 * ratio, ratio) / ratio)
    return np.asarray(taps / taps.sum())


def _reduce_axis(
    image: NDArray[np.float64],
    taps: NDArray[np.float64],
    ratio: int,
    axis: int,
    border: Literal["edge", "symmetric"],
) -> NDArray[np.float64]:
    """Filter along one axis and keep one sample per low-resolution pixel.

    It lies at the pixel's centre, or half a pixel after it where the number of taps fits no centre.
    """
    padding, more = [(0, 0)] * image.ndim, len(taps) - ratio
    padding[axis] = (more // 2, more - more // 2)
    padded = np.moveaxis(np.pad(image, padding, mode=border), axis, -1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=-1)[..., ::ratio, :]
    return np.moveaxis(windows @ taps, -1, axis)
