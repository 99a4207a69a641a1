"""Gains of MTF-GLP-FS, measured on the calibration patches of a scene and then frozen.

`gain = cov(LMS, PAN) / cov(PAN at MS resolution, PAN)` (Vivone et al., 2018, full-scale regression). Every
patch is filtered with its surroundings, so it sees what the tiles will see. Sums are exact, so that the same
scene gives the same gains on every processor.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from math import fsum

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.calibrate import SceneConstants, patch_windows
from bnnpan_runtime.classical.engine import ClassicalEngine
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.tiles import tile_around
from bnnpan_runtime.units import sum_of_measured
from bnnpan_runtime.worker import ShrinkBench, Slot, tile_layout, unmeasured

__all__ = ["calibrate"]

_log = logging.getLogger(__name__)

Plane = NDArray[np.float64]

_SMALLEST_VARIANCE = 1e-6
"""Of the PAN at MS resolution, in DN squared: less is rounding, and nothing is known of the bands' share."""


def calibrate(scene: Scene, engine: ClassicalEngine) -> SceneConstants:
    """Means of PAN and bands as units, gains `(bands,)` as affines.

    Raises SceneError if no patch holds data.
    """
    windows = patch_windows(scene, engine.resampler, engine.calibration)
    patches = _Patches(scene, engine, windows)
    units = patches.units()
    gains = patches.gains(units)
    _log.info("gains of the bands: %s", ", ".join(f"{gain:.3f}" for gain in gains))
    return SceneConstants(units, gains)


class _Patches:
    """Patches of a scene with their surroundings, read one at a time."""

    def __init__(self, scene: Scene, engine: ClassicalEngine, windows: Sequence[Window]) -> None:
        self._scene, self._engine, self._windows = scene, engine, windows
        layout = tile_layout(scene, engine.resampler, engine, engine.calibration.patch, 0, shrinks_pan=True)
        self._slot, self._shrink = Slot(layout), ShrinkBench(layout)
        self._arena: NDArray[np.uint8] = allocate(*layout.engine["arena"])

    def units(self) -> SceneUnits:
        """Means of what is measured in and around the patches. Raises SceneError if nothing is."""
        scene = self._scene
        total, count = np.zeros(scene.bands + 1), np.zeros(scene.bands + 1)
        for slot in self._read():
            planes = ((slot.pan_around, scene.pan_nodata), *((band, scene.ms_nodata) for band in slot.ms))
            for place, (dn, nodata) in enumerate(planes):
                total[place] += sum_of_measured(dn, nodata)
                count[place] += dn.size if nodata is None else np.count_nonzero(dn != nodata)
        if not count.all():
            raise _no_data(scene)
        pan, *bands = (total / count).astype(np.float32).tolist()
        ones, zeros = (1.0,) * scene.bands, (0.0,) * scene.bands
        return SceneUnits(pan, 1.0, tuple(bands), ones, zeros)

    def gains(self, units: SceneUnits) -> NDArray[np.float32]:
        """One per band; 0 where the PAN has no detail at MS resolution. Raises SceneError without data."""
        sums = [self._sums(slot, units) for slot in self._read()]
        count, pan, *others = (fsum(column) for column in zip(*sums, strict=True))
        if not count:
            raise _no_data(self._scene)
        planes, products = others[: len(others) // 2], others[len(others) // 2 :]
        covariance = [product - plane * pan / count for plane, product in zip(planes, products, strict=True)]
        *bands, smooth = covariance
        flat = smooth <= _SMALLEST_VARIANCE * count
        return np.array([0.0 if flat else band / smooth for band in bands], np.float32)

    def _read(self) -> Iterator[Slot]:
        """The one slot, with each patch in turn."""
        scene, engine = self._scene, self._engine
        height, width = self._slot.pan.shape
        for index, core in enumerate(self._windows):
            tile = tile_around(core, index, (scene.height, scene.width), (height, width), 0)
            self._slot.read(scene, engine.resampler, tile)
            yield self._slot

    def _sums(self, slot: Slot, units: SceneUnits) -> list[float]:
        """Over the measured pixels of a patch: their count, sums of PAN and planes, of planes times PAN.

        Planes are those of `ClassicalEngine.observe`.
        """
        scene, core = self._scene, slot.tile.core
        absent = np.empty((scene.bands, core.height, core.width), np.bool_)
        unmeasured(slot, scene, absent)
        measured = ~absent.any(axis=0)
        shrunk = self._shrink.shrunk(slot, units, scene.pan_nodata)
        tile = slot.dn_tile(scene, self._engine.resampler, units, shrunk)
        strips = [
            (strip.pan[measured[strip.rows]], strip.planes[:, measured[strip.rows]])
            for strip in self._engine.observe(tile, self._arena)
        ]
        pan: Plane = np.concatenate([pan for pan, _ in strips]).astype(np.float64)
        planes: Plane = np.concatenate([planes for _, planes in strips], axis=1).astype(np.float64)
        return [float(pan.size), fsum(pan), *map(fsum, planes), *(fsum(plane * pan) for plane in planes)]


def _no_data(scene: Scene) -> SceneError:
    return SceneError(f"{scene.pan.name}: no calibration patch holds data; use a scene with more of it")
