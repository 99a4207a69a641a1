"""What the network is fed of a window: PAN and LMS in network units, made of DN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.memory import Arrays
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits, add_shares
from bnnpan_runtime.units import Pixels, normalise

__all__ = ["fill_images", "image_arrays"]

Float32 = NDArray[np.float32]

_STRIP_ROWS = 16
"""Rows that get their share at a time, so that temporaries stay small."""


def image_arrays(resampler: Resampler, bands: int, height: int, width: int) -> Arrays:
    """Shapes and dtypes of the buffers that `fill_images` takes for windows of this size, by name."""
    ms_height, ms_width = resampler.largest_ms_window(height, width)
    return {
        "pan": ((1, height, width), np.float32),
        "ms": ((bands * ms_height * ms_width,), np.float32),
        "lms": ((bands, height, width), np.float32),
        "scratch": ((resampler.scratch_floats(bands, height, width),), np.float32),
    }


def fill_images(
    buffers: Mapping[str, NDArray[Any]],
    dn: tuple[Pixels, Pixels],
    nodata: tuple[float | None, float | None],
    units: SceneUnits,
    window: Window,
    resampler: Resampler,
    shrunk: Float32 | None = None,
) -> None:
    """PAN and LMS of a window into `pan` and `lms` of `image_arrays`.

    `dn` holds PAN `(height, width)` and MS `(bands, ...)` of `resampler.ms_window`, `nodata` their markers.
    `shrunk` is the PAN in `units` at these MS samples; without it nothing is injected.
    """
    pan, lms = buffers["pan"], buffers["lms"]
    pan_dn, ms_dn = dn
    ms = buffers["ms"][: ms_dn.size].reshape(ms_dn.shape)
    normalise(pan_dn[None], (units.pan_offset,), (units.pan_scale,), nodata[0], pan)
    normalise(ms_dn, units.ms_offset, units.ms_scale, nodata[1], ms)
    if shrunk is not None:
        _add_in_strips([-share for share in units.injected], shrunk, ms)
    resampler.interpolate(ms, window, lms, buffers["scratch"])
    if shrunk is not None:
        _add_in_strips(units.injected, pan[0], lms)


def _add_in_strips(weights: Sequence[float], plane: Float32, bands: Float32) -> None:
    for top in range(0, len(plane), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        add_shares(weights, plane[rows], list(bands[:, rows]))
