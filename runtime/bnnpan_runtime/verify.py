"""Is a bundle whole, and does it compute here what it should: every check with its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bnnpan_runtime.bundle import Bundle, Golden
from bnnpan_runtime.container import read_directory
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import BackendError, BundleError
from bnnpan_runtime.graph import BACKENDS, Backend, open_backend
from bnnpan_runtime.graph.protocol import Float32
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.units import normalise, quantise
from bnnpan_runtime.weights import GOLDEN_SIDE

__all__ = ["Check", "golden_check", "verify"]

LARGEST_SHARE_OVER_1DN = 0.01
"""Share of the golden tile's values that may differ from the PyTorch reference by more than one DN.

An activation next to its threshold takes another sign where float sums are rounded in another order, as other
processors do; one such sign moves up to about 80 pixels, half a percent of the tile.
"""

LARGEST_SHARE_CHANGED = 0.05
"""Share that may differ at all: wrong arithmetic moves most values, a flipped sign those around it."""

LARGEST_AFFINE_ERROR = 1e-3
"""Calibration is a mean over many pixels, where single signs hardly show; affines are of the order of 1."""


@dataclass(frozen=True)
class Check:
    """One check; `passed` is None if it could not be run here."""

    name: str
    passed: bool | None
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def verify(path_or_name: str | Path, backend: str = "all") -> list[Check]:
    """Check a bundle from the outside in; what depends on a failed check is not run.

    `backend` is one backend, which then has to work, or "all" for those that are installed, at least one.
    Raises BundleError if there is nothing to check.
    """
    try:
        bundle = Bundle.open(path_or_name)
    except BundleError as error:
        if not Path(path_or_name).exists():
            raise
        return [_container_check(path_or_name), Check("manifest", False, str(error))]
    checks = [
        Check("container", True, f"{len(bundle.entries)} stored entries"),
        Check(
            "manifest",
            True,
            f"{bundle.manifest.id}, schema {bundle.manifest.schema}, {bundle.sha256[:16]}...",
        ),
        *_file_checks(bundle),
    ]
    if all(check.passed for check in checks):
        checks.extend(_backend_checks(bundle, backend))
    return checks


def golden_check(engine: Backend, bundle: Bundle) -> Check:
    """Calibrate on the golden tile, fuse it, and compare with the reference's product."""
    name = f"golden tile: {engine.name}"
    if engine.fixed_window not in (None, GOLDEN_SIDE):
        return Check(
            name, None, f"its window is {engine.fixed_window}, the golden tile {GOLDEN_SIDE} pixels a side"
        )
    golden = bundle.golden()
    affines, product = _run_golden(engine, bundle, golden)
    apart = np.abs(product.astype(np.int32) - golden.hrms.astype(np.int32))
    over, changed = float(np.mean(apart > 1)), float(np.mean(apart > 0))
    affine_error = float(np.max(np.abs(affines - golden.affines)))
    return Check(
        name,
        over <= LARGEST_SHARE_OVER_1DN
        and changed <= LARGEST_SHARE_CHANGED
        and affine_error <= LARGEST_AFFINE_ERROR,
        f"{engine.isa}: {changed:.2%} of the values differ (bound {LARGEST_SHARE_CHANGED:.0%}), {over:.2%} by"
        f" over 1 DN (bound {LARGEST_SHARE_OVER_1DN:.0%}), the largest by {apart.max()} DN; affines within"
        f" {affine_error:.1e} (bound {LARGEST_AFFINE_ERROR:.0e})",
    )


def _container_check(path_or_name: str | Path) -> Check:
    """Whether the container alone is sound, when the bundle as a whole is not."""
    try:
        return Check("container", True, f"{len(read_directory(Path(path_or_name)))} stored entries")
    except BundleError as error:
        return Check("container", False, str(error))


def _file_checks(bundle: Bundle) -> Iterator[Check]:
    for name, file in sorted(bundle.manifest.files.items()):
        try:
            bundle.read(name)
            yield Check(f"SHA-256: {name}", True, file.sha256)
        except BundleError as error:
            yield Check(f"SHA-256: {name}", False, str(error))
    for name, parse in (("weights", bundle.weights), ("golden tile", lambda: vars(bundle.golden()))):
        try:
            yield Check(f"tensors: {name}", True, f"{len(parse())} tensors of the right dtype and shape")
        except BundleError as error:
            yield Check(f"tensors: {name}", False, str(error))


def _backend_checks(bundle: Bundle, backend: str) -> Iterator[Check]:
    ran = False
    for name in BACKENDS if backend == "all" else (backend,):
        try:
            check = golden_check(open_backend(name, bundle), bundle)
        except (BackendError, BundleError) as error:
            check = Check(f"golden tile: {name}", None if backend == "all" else False, str(error))
        ran = ran or check.passed is not None
        yield check
    if not ran:
        yield Check("backends", False, "none could run the golden tile")


def _run_golden(engine: Backend, bundle: Bundle, golden: Golden) -> tuple[Float32, np.ndarray[Any, Any]]:
    """Affines and product (uint16 DN) of the golden tile, a scene of its own whose edge is repeated."""
    manifest = bundle.manifest
    bands, side = manifest.network.bands, GOLDEN_SIDE
    pan, lms = np.empty((1, side, side), np.float32), np.empty((bands, side, side), np.float32)
    normalise(golden.pan, manifest.dn_scale, None, pan[0])
    _interpolate(golden, bundle, lms)

    affines = engine.calibrate(*_quadrants(pan, lms, manifest.calibration.count))
    hrms = np.empty_like(lms)
    engine.fuse(pan, lms, affines, hrms, allocate((engine.memory(side, side).arena_bytes,), np.uint8))
    product = np.empty(hrms.shape, np.uint16)
    quantise(hrms, manifest.dn_scale, product)
    return affines, product


def _interpolate(golden: Golden, bundle: Bundle, lms: Float32) -> None:
    manifest = bundle.manifest
    resampler = Resampler(Grid(manifest.network.ratio), manifest.phase)
    window = Window(0, 0, GOLDEN_SIDE, GOLDEN_SIDE)
    area = resampler.ms_window(window)
    rows = np.clip(np.arange(area.row, area.row + area.height), 0, golden.ms.shape[1] - 1)
    cols = np.clip(np.arange(area.col, area.col + area.width), 0, golden.ms.shape[2] - 1)
    ms = np.empty((len(lms), area.height, area.width), np.float32)
    normalise(golden.ms[:, rows[:, None], cols], manifest.dn_scale, None, ms)
    scratch = np.empty(resampler.scratch_floats(len(lms), GOLDEN_SIDE, GOLDEN_SIDE), np.float32)
    resampler.interpolate(ms, window, lms, scratch)


def _quadrants(pan: Float32, lms: Float32, count: int) -> tuple[Float32, Float32]:
    """The tile's four quadrants, repeated in turn to `count` patches."""
    half = GOLDEN_SIDE // 2
    corners = [(row, col) for row in (0, half) for col in (0, half)]
    cut = [corners[k % 4] for k in range(count)]
    return (
        np.stack([pan[:, row : row + half, col : col + half] for row, col in cut]),
        np.stack([lms[:, row : row + half, col : col + half] for row, col in cut]),
    )
