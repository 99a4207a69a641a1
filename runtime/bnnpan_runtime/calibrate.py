"""Scene calibration: everything global of a scene, computed once from fixed patches and then frozen.

The patches depend on the scene alone, never on tile size, threads or budget, so that every tiling of a scene
sees the same network.
"""

from __future__ import annotations

import numpy as np

from bnnpan_runtime.contract import Calibration, Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.units import Pixels, normalise

__all__ = ["calibrate", "calibration_bytes", "patch_windows"]

_MOST_BEYOND = 0.01
"""Share of DN above the bit depth that hot pixels may explain."""


def calibrate(scene: Scene, backend: Backend, calibration: Calibration, resampler: Resampler) -> Float32:
    """Affines `(blocks, 2, channels)` of a scene, from `calibration.count` patches read one by one.

    Raises SceneError if the scene has more bits than was assumed.
    """
    count, side = calibration.count, calibration.patch
    reader = _PatchReader(scene, resampler, side)
    pan, lms = (
        allocate((count, 1, side, side), np.float32),
        allocate((count, scene.bands, side, side), np.float32),
    )
    beyond = 0.0
    for index, window in enumerate(patch_windows(scene, resampler, calibration)):
        reader.read(window)
        beyond += reader.beyond_share() / count
        reader.network_units(window, pan[index, 0], lms[index])
    if beyond > _MOST_BEYOND:
        raise SceneError(
            f"{scene.pan.name}: {beyond:.0%} of the DN are above {scene.dn_scale:.0f}, the largest of the"
            " assumed bit depth; give the scene's own with --bit-depth"
        )
    return backend.calibrate(pan, lms)


def calibration_bytes(scene: Scene, calibration: Calibration) -> int:
    """What the patches of one calibration take, without the engine's share."""
    return 4 * calibration.count * (1 + scene.bands) * calibration.patch**2


def patch_windows(scene: Scene, resampler: Resampler, calibration: Calibration) -> list[Window]:
    """The `calibration.count` patches of a scene, by the rule of `Calibration.choose`."""
    if scene.pan_nodata is None and scene.ms_nodata is None:
        return calibration.choose(scene.height, scene.width, lambda window: 1.0)
    reader = _PatchReader(scene, resampler, calibration.patch)
    return calibration.choose(scene.height, scene.width, reader.valid_share)


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

    def beyond_share(self) -> float:
        """Share of DN of the patch read last beyond its bit depth, of PAN or MS, whichever is larger."""
        scene = self._scene
        sides = ((self._pan, scene.pan_nodata), (self._ms, scene.ms_nodata))
        return max(float(np.mean((dn > scene.dn_scale) & (dn != nodata))) for dn, nodata in sides)

    def network_units(self, window: Window, pan: Float32, lms: Float32) -> None:
        """PAN and LMS of the patch read last."""
        scene = self._scene
        normalise(self._pan, scene.dn_scale, scene.pan_nodata, pan)
        ms = np.empty(self._ms.shape, np.float32)
        normalise(self._ms, scene.dn_scale, scene.ms_nodata, ms)
        self._resampler.interpolate(ms, window, lms, self._scratch)
