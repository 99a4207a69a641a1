"""A network's image of a scene, made as on board: calibrated once on fixed patches, then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.data.appearance import in_units
from bnnpan.data.lms import samples_on, under_samples
from bnnpan.data.pairs import Pair
from bnnpan.data.wald import sampled_by_ms, seen_by_ms
from bnnpan.model import PanSharpener
from bnnpan_runtime.contract import Calibration, Phase, Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.scene_units import SceneUnits, block_means, curvature, moments, products, scene_units

__all__ = ["Fusable", "fuse_frozen", "fuse_pair"]

Image = NDArray[np.floating[Any]]


class Fusable(Protocol):
    """What a network needs of a scene; images `(bands, height, width)` in DN, `valid` `(height, width)`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def pan(self) -> Image: ...  # noqa: D102
    @property
    def lms(self) -> Image: ...  # noqa: D102
    @property
    def ms(self) -> Image: ...  # noqa: D102
    @property
    def valid(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def dn_scale(self) -> float: ...  # noqa: D102
    @property
    def ratio(self) -> int: ...  # noqa: D102
    @property
    def phase(self) -> Phase: ...  # noqa: D102


def fuse_pair(model: PanSharpener, pair: Pair, true_prior: bool = False) -> NDArray[np.float32]:
    """Fused image of a pair; `true_prior` takes the prior from the ground truth, as stage I needs."""
    return fuse_frozen(model, pair, pair.gt if true_prior else None)


@torch.no_grad()
def fuse_frozen(model: PanSharpener, scene: Fusable, truth: Image | None = None) -> NDArray[np.float32]:
    """Fused image `(bands, height, width)` float32 in DN, with affines frozen from calibration patches.

    With a `truth` the prior is taken from it. Raises `SceneError` for a scene smaller than a calibration
    patch, or without data in any.
    """
    calibration = Calibration()
    height, width = scene.valid.shape
    if min(height, width) < calibration.patch:
        raise SceneError(
            f"{scene.name}: {height} x {width} pixels, less than a calibration patch of {calibration.patch};"
            " use a larger scene"
        )
    patches = calibration.choose(height, width, lambda window: float(scene.valid[_pixels(window)].mean()))
    cut = [_pixels(patch) for patch in patches]
    units = _units(model, scene, cut)
    device = next(model.parameters()).device
    target = scene.lms if truth is None else truth
    pan_low = _even(seen_by_ms(scene.pan, scene.ratio, scene.phase)) if units.injects else None
    images = in_units(units, _even(scene.pan), _even(scene.lms), _even(target), pan_low)
    pan, lms, gt = (torch.from_numpy(image)[None].to(device) for image in images)
    prior = None if truth is None else model.true_prior(torch.cat([gt[c] for c in cut]), pooled=True)
    affines = model.calibrate(torch.cat([pan[c] for c in cut]), torch.cat([lms[c] for c in cut]), prior)
    fused: NDArray[np.float32] = model.fuse(pan, lms, affines)[0, :, :height, :width].cpu().numpy()
    offset, scale = (np.array(v, np.float32)[:, None, None] for v in (units.ms_offset, units.ms_scale))
    return fused * scale + offset


def _units(model: PanSharpener, scene: Fusable, cut: Sequence[tuple[Any, ...]]) -> SceneUnits:
    if model.config.units == "bit_depth":
        return SceneUnits.of_bit_depth(scene.dn_scale, len(scene.lms))
    samples, bends = [], []
    planes = np.concatenate([scene.ms, sampled_by_ms(scene.pan, scene.ratio, scene.phase)])
    measured_samples = under_samples(scene.valid, scene.ratio, scene.phase)
    for patch in cut:
        whole = block_means(scene.valid[patch]) == 1
        samples += [np.concatenate([block_means(image[patch])[:, whole] for image in (scene.lms, scene.pan)])]
        rows, cols = (samples_on(s.start, s.stop - s.start, scene.ratio, scene.phase) for s in patch[1:])
        bends.append(curvature(planes[:, rows, cols], measured_samples[rows, cols]))
    measured = np.concatenate(samples, axis=1)
    if not measured.size:
        raise SceneError(f"{scene.name}: no calibration patch holds data: use a scene with more of it")
    return scene_units(*moments(measured), products(np.concatenate(bends, axis=1)))


def _pixels(window: Window) -> tuple[Any, ...]:
    rows = slice(window.row, window.row + window.height)
    return ..., rows, slice(window.col, window.col + window.width)


def _even(image: Image) -> NDArray[np.float32]:
    padding = ((0, 0), *((0, size % 2) for size in image.shape[1:]))
    return np.pad(image.astype(np.float32, copy=False), padding, mode="edge")
