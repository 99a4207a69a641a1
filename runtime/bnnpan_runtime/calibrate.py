"""Scene calibration: everything global of a scene, computed once from fixed patches and then frozen.

The patches depend on the scene alone, never on tile size, threads or budget, so that every tiling of a scene
sees the same network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Calibration, Manifest, Recipe, Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.images import fill_images, image_arrays
from bnnpan_runtime.memory import Arrays, allocate, allocated_bytes
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.scene_units import SceneUnits, block_means, curvature, moments, products, scene_units
from bnnpan_runtime.shrink import Shrinker
from bnnpan_runtime.units import Pixels, missing, sum_of_measured

__all__ = ["SceneConstants", "calibrate", "calibration_bytes", "patch_windows"]

_MOST_BEYOND = 0.01
"""Share of DN above the bit depth that hot pixels may explain."""


@dataclass(frozen=True)
class SceneConstants:
    """What is the same for all tiles of a scene: its units, and the affines `(blocks, 2, channels)`."""

    units: SceneUnits
    affines: Float32


def calibrate(scene: Scene, backend: Backend, manifest: Manifest, resampler: Resampler) -> SceneConstants:
    """Units and affines of a scene, from `calibration.count` patches, chosen among more if there is NoData.

    Raises SceneError if a network that is fed DN over the bit depth meets more bits than were assumed, or if
    one fed scene units finds no data in any patch.
    """
    windows = patch_windows(scene, resampler, manifest.calibration)
    patches = _Patches(scene, resampler, windows, _layout(scene, manifest, resampler))
    if manifest.units == "scene":
        units = patches.units()
    else:
        patches.check_bit_depth()
        units = SceneUnits.of_bit_depth(scene.dn_scale, scene.bands)
    return SceneConstants(units, backend.calibrate(*patches.images(units)))


def calibration_bytes(scene: Scene, recipe: Recipe, resampler: Resampler) -> int:
    """What the patches of one calibration take, without the engine's share."""
    return allocated_bytes(_layout(scene, recipe, resampler).arrays)


def patch_windows(scene: Scene, resampler: Resampler, calibration: Calibration) -> list[Window]:
    """The `calibration.count` patches of a scene, by the rule of `Calibration.choose`."""
    if scene.pan_nodata is None and scene.ms_nodata is None:
        return calibration.choose(scene.height, scene.width, lambda window: 1.0)
    arrays = _dn_arrays(scene, calibration.patch, resampler)
    buffers = {name: allocate(*array) for name, array in arrays.items()}

    def valid_share(window: Window) -> float:
        """Share of measured pixels, of PAN or of the MS that reaches into the patch, whichever is smaller."""
        patch = _Patch.read(scene, resampler, window, buffers["pan_dn"], buffers["ms_dn"])
        gone_pan = 0.0 if scene.pan_nodata is None else np.mean(patch.pan == scene.pan_nodata)
        gone_ms = 0.0 if scene.ms_nodata is None else np.mean(patch.ms == scene.ms_nodata)
        return 1.0 - float(max(gone_pan, gone_ms))

    return calibration.choose(scene.height, scene.width, valid_share)


@dataclass(frozen=True)
class _Patch:
    """DN of one patch: PAN `(patch, patch)`, itself and with a margin, MS `(bands, ...)` of `ms_window`."""

    window: Window
    ms_window: Window
    pan: Pixels
    pan_around: Pixels
    ms: Pixels

    @classmethod
    def read(cls, scene: Scene, resampler: Resampler, window: Window, pan: Pixels, ms: Pixels) -> _Patch:
        """Into buffers: that of PAN with its margin, that of MS flat and large enough. Raises SceneError."""
        area, margin = resampler.ms_window(window), (len(pan) - window.height) // 2
        shape = (scene.bands, area.height, area.width)
        inner = pan[margin : margin + window.height, margin : margin + window.width]
        patch = cls(window, area, inner, pan, ms[: math.prod(shape)].reshape(shape))
        scene.read_pan(window.grown(margin), patch.pan_around)
        scene.read_ms(area, patch.ms)
        return patch


@dataclass(frozen=True)
class _Layout:
    """Buffers of a calibration: DN and images of all patches, and what one at a time is computed in."""

    shrinker: Shrinker | None
    arrays: Arrays


class _Patches:
    """All patches of a scene, in DN and as the images that networks are calibrated on."""

    def __init__(
        self, scene: Scene, resampler: Resampler, windows: Sequence[Window], layout: _Layout
    ) -> None:
        self._scene, self._resampler, self._shrinker = scene, resampler, layout.shrinker
        self._buffers = {name: allocate(*array) for name, array in layout.arrays.items()}
        places = zip(windows, self._buffers["pan_dn"], self._buffers["ms_dn"], strict=True)
        self._patches = [_Patch.read(scene, resampler, *place) for place in places]

    def check_bit_depth(self) -> None:
        """Raise SceneError if DN lie above it."""
        scene = self._scene
        beyond = float(np.mean([self._share_beyond(patch) for patch in self._patches]))
        if beyond > _MOST_BEYOND:
            raise SceneError(
                f"{scene.pan.name}: {beyond:.0%} of the DN are above {scene.dn_scale:.0f}, the largest of the"
                " assumed bit depth; give the scene's own with --bit-depth"
            )

    def images(self, units: SceneUnits) -> tuple[Float32, Float32]:
        """PAN `(count, 1, patch, patch)` and LMS `(count, bands, ...)`, valid until the next call."""
        nodata = (self._scene.pan_nodata, self._scene.ms_nodata)
        all_pan, all_lms = self._buffers["pan"], self._buffers["lms"]
        for patch, pan, lms in zip(self._patches, all_pan, all_lms, strict=True):
            buffers = {**self._buffers, "pan": pan, "lms": lms}
            dn, shrunk = (patch.pan, patch.ms), self._shrunk(patch, units) if units.injects else None
            fill_images(buffers, dn, nodata, units, patch.window, self._resampler, shrunk)
        return all_pan, all_lms

    def units(self) -> SceneUnits:
        """Scene units, from all blocks without NoData. Raises SceneError if there is none."""
        absent = [self._absent(patch) for patch in self._patches]
        whole = np.concatenate([block_means(~gone) == 1 for gone in absent])
        if not whole.any():
            raise SceneError(
                f"{self._scene.pan.name}: no calibration patch holds data; use a scene with more of it"
            )
        # NoData is taken as the mean of its band, so that it does not ring through the interpolation.
        means = self._ms_means()
        ones, zeros = (1.0,) * len(means), (0.0,) * len(means)
        pan, lms = self.images(SceneUnits(0.0, 1.0, means, ones, zeros))
        samples = np.concatenate([block_means(lms), block_means(pan)], axis=1).swapaxes(0, 1)
        mean, covariance = moments(samples.reshape(len(samples), -1)[:, whole])
        centred = SceneUnits(float(mean[-1]), 1.0, means, ones, zeros)
        bends = [self._curvature(*place, centred) for place in zip(self._patches, absent, strict=True)]
        details = products(np.concatenate(bends, axis=1))
        return scene_units(mean + np.array([*means, 0.0]), covariance, details)

    def _curvature(self, patch: _Patch, absent: NDArray[np.bool_], units: SceneUnits) -> NDArray[np.float64]:
        """Of MS and of the PAN as MS sees it, at the measured samples that lie on a patch."""
        samples, window, area = self._resampler.samples_on(patch.window), patch.window, patch.ms_window
        row, col = samples.row - area.row, samples.col - area.col
        cut = np.s_[..., row : row + samples.height, col : col + samples.width]
        planes = np.concatenate([patch.ms[cut], self._shrunk(patch, units)[None][cut]])
        rows, cols = self._resampler.nearest(samples)
        return curvature(planes, ~absent[(rows - window.row)[:, None], cols - window.col])

    def _shrunk(self, patch: _Patch, units: SceneUnits) -> Float32:
        """The PAN at the samples of the patch's MS."""
        if self._shrinker is None:
            raise ValueError("only a recipe that shrinks the PAN has units that inject its detail")
        nodata, buffers = self._scene.pan_nodata, self._buffers
        return self._shrinker.shrink(patch.pan_around, patch.window, units, nodata, buffers)

    def _ms_means(self) -> tuple[float, ...]:
        """Mean DN of each band where it is measured, a float32; 0 where it nowhere is."""
        total, count = np.zeros(self._scene.bands), np.zeros(self._scene.bands)
        for patch in self._patches:
            total += [sum_of_measured(band, self._scene.ms_nodata) for band in patch.ms]
            count += np.sum(patch.ms != self._scene.ms_nodata, axis=(1, 2))
        return tuple((total / np.maximum(count, 1)).astype(np.float32).tolist())

    def _absent(self, patch: _Patch) -> NDArray[np.bool_]:
        """Which of its pixels have no PAN, or not all bands, `(patch, patch)`."""
        scene = self._scene
        absent = np.empty((scene.bands, patch.window.height, patch.window.width), np.bool_)
        markers = (scene.pan_nodata, scene.ms_nodata)
        missing(patch.pan, patch.ms, patch.window, patch.ms_window, scene.grid, markers, absent)
        return np.asarray(absent.any(axis=0))

    def _share_beyond(self, patch: _Patch) -> float:
        """Share of DN beyond the bit depth, of PAN or MS, whichever is larger."""
        scene = self._scene
        sides = ((patch.pan, scene.pan_nodata), (patch.ms, scene.ms_nodata))
        return max(float(np.mean((dn > scene.dn_scale) & (dn != nodata))) for dn, nodata in sides)


def _layout(scene: Scene, recipe: Recipe, resampler: Resampler) -> _Layout:
    count, side = recipe.calibration.count, recipe.calibration.patch
    shrinker = Shrinker(resampler, *scene.padded) if recipe.shrinks_pan else None
    dn = _dn_arrays(scene, side, resampler, shrinker.margin if shrinker else 0)
    arrays = image_arrays(resampler, scene.bands, side, side)
    of_all = {"pan": arrays["pan"], "lms": arrays["lms"], **dn}
    if shrinker:
        arrays |= shrinker.arrays(side, side)
    arrays |= {name: ((count, *shape), dtype) for name, (shape, dtype) in of_all.items()}
    return _Layout(shrinker, arrays)


def _dn_arrays(scene: Scene, side: int, resampler: Resampler, margin: int = 0) -> Arrays:
    """DN of one patch: PAN with a margin; MS flat, as large as it gets."""
    pan_side, ms_pixels = side + 2 * margin, math.prod(resampler.largest_ms_window(side, side))
    return {"pan_dn": ((pan_side, pan_side), scene.dtype), "ms_dn": ((scene.bands * ms_pixels,), scene.dtype)}
