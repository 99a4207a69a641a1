"""Scene calibration: everything global of a scene, computed once from fixed patches and then frozen.

The patches depend on the scene alone, never on tile size, threads or budget, so that every tiling of a scene
sees the same network.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from bnnpan_runtime.contract import Calibration, Window
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.units import Pixels, normalise

__all__ = ["calibrate", "calibration_bytes", "patch_windows"]

_ENOUGH_VALID = 0.98
"""Share of measured pixels that makes a patch good enough."""

_CANDIDATES_PER_PATCH = 16


def calibrate(scene: Scene, backend: Backend, calibration: Calibration, resampler: Resampler) -> Float32:
    """Affines `(blocks, 2, channels)` of a scene, from `calibration.count` patches read one by one."""
    count, side = calibration.count, calibration.patch
    reader = _PatchReader(scene, resampler, side)
    pan, lms = (
        allocate((count, 1, side, side), np.float32),
        allocate((count, scene.bands, side, side), np.float32),
    )
    for index, window in enumerate(patch_windows(scene, resampler, calibration)):
        reader.read(window)
        reader.network_units(window, pan[index, 0], lms[index])
    return backend.calibrate(pan, lms)


def calibration_bytes(scene: Scene, calibration: Calibration) -> int:
    """What the patches of one calibration take, without the engine's share."""
    return 4 * calibration.count * (1 + scene.bands) * calibration.patch**2


def patch_windows(scene: Scene, resampler: Resampler, calibration: Calibration) -> list[Window]:
    """The `calibration.count` patches of a scene.

    They are the first ones of a low-discrepancy sequence that are at least 98 % measured. A scene with fewer
    such places among the first 16 per patch gives its most complete ones instead, so that a narrow strip of
    data is still calibrated on data.
    """
    windows = calibration.places(scene.height, scene.width)
    if scene.pan_nodata is None and scene.ms_nodata is None:
        return list(islice(windows, calibration.count))
    reader = _PatchReader(scene, resampler, calibration.patch)
    graded: list[tuple[float, Window]] = []
    for window in islice(windows, _CANDIDATES_PER_PATCH * calibration.count):
        graded.append((min(reader.valid_share(window), _ENOUGH_VALID), window))
        if sum(share == _ENOUGH_VALID for share, _ in graded) == calibration.count:
            break
    graded.sort(key=lambda item: -item[0])  # stable: equals stay in sequence order
    return [window for _, window in graded[: calibration.count]]


class _PatchReader:
    """Buffers for one patch."""

    def __init__(self, scene: Scene, resampler: Resampler, side: int) -> None:
        ms_height, ms_width = resampler.largest_ms_window(side, side)
        self._scene, self._resampler = scene, resampler
        self._pan: Pixels = np.empty((side, side), scene.dtype)
        self._ms_buffer: Pixels = np.empty(scene.bands * ms_height * ms_width, scene.dtype)
        self._ms: Pixels = self._ms_buffer
        self._scratch = np.empty(resampler.scratch_floats(scene.bands, side, side), np.float32)

    def read(self, window: Window) -> None:
        area = self._resampler.ms_window(window)
        shape = (self._scene.bands, area.height, area.width)
        self._ms = self._ms_buffer[: np.prod(shape)].reshape(shape)
        self._scene.read_pan(window, self._pan)
        self._scene.read_ms(area, self._ms)

    def valid_share(self, window: Window) -> float:
        """Share of measured pixels, of PAN or of the MS that reaches into the patch, whichever is smaller."""
        self.read(window)
        gone_pan = 0.0 if self._scene.pan_nodata is None else np.mean(self._pan == self._scene.pan_nodata)
        gone_ms = 0.0 if self._scene.ms_nodata is None else np.mean(self._ms == self._scene.ms_nodata)
        return 1.0 - float(max(gone_pan, gone_ms))

    def network_units(self, window: Window, pan: Float32, lms: Float32) -> None:
        """PAN and LMS of the patch read last."""
        scene = self._scene
        normalise(self._pan, scene.dn_scale, scene.pan_nodata, pan)
        ms = np.empty(self._ms.shape, np.float32)
        normalise(self._ms, scene.dn_scale, scene.ms_nodata, ms)
        self._resampler.interpolate(ms, window, lms, self._scratch)
