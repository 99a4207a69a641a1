"""The whole flow: scene -> plan -> calibrate -> tiles -> graph -> mosaic -> product."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import calibrate
from bnnpan_runtime.contract import FuseReport, Plan
from bnnpan_runtime.errors import BackendError, BudgetError
from bnnpan_runtime.graph import Backend, open_backend
from bnnpan_runtime.memory import format_size, parse_size, peak_bytes, reset_peak
from bnnpan_runtime.mosaic import check_output, open_mosaic
from bnnpan_runtime.pipeline import fused_tiles
from bnnpan_runtime.planning import SMALLEST_CACHE
from bnnpan_runtime.planning import plan as make_plan
from bnnpan_runtime.product import product_tags, sha256_of
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene, open_scene
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.storage import raster_cache

__all__ = ["Progress", "fuse", "plan"]

AnyPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and in all."""

_log = logging.getLogger(__name__)


def fuse(
    pan: AnyPath,
    ms: AnyPath,
    bundle: Bundle | AnyPath,
    out: AnyPath,
    *,
    memory: str | int,
    backend: str = "auto",
    threads: int = 1,
    tile: int | None = None,
    bit_depth: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FuseReport:
    """Fuse a PAN and an MS raster into `out`, a tiled GeoTIFF, within `memory` for the whole process.

    memory     budget, in bytes or as text such as "128MiB"
    backend    "native", "onnx", "tflite", or "auto" for the first of them that works
    threads    tiles computed at the same time; one more thread reads and writes
    tile       side of the tiles in PAN pixels, if not the planned one; the product has the same pixels
    bit_depth  bits of a uint16 scene, if not those of the bundle; without effect in scene units
    overwrite  replace an existing product

    Raises SceneError, BundleError, BudgetError, OutputError or BackendError; `out` is then as it was before.
    """
    started = time.perf_counter()
    reset_peak()
    path = Path(out)
    check_output(path, (Path(pan), Path(ms)), overwrite)
    with _prepared(pan, ms, bundle, memory, backend, threads, tile, bit_depth) as job:
        tags = product_tags(job.bundle, job.backend.name)
        skipped = 0
        with open_mosaic(path, job.scene.product_format, tags) as mosaic:
            constants = calibrate(job.scene, job.backend, job.bundle.manifest, job.resampler)
            with closing(fused_tiles(job.scene, job.resampler, job.backend, constants, job.plan)) as finished:
                for slot in finished:
                    mosaic.write(slot.tile.core, slot.product)
                    skipped += slot.skipped
                    if progress is not None:
                        progress(slot.tile.index + 1, job.plan.tiles)
            mosaic.close()
            digest = sha256_of(mosaic.partial)
            mosaic.commit()
        return _report(job, path, digest, skipped, constants.units, time.perf_counter() - started)


def plan(
    pan: AnyPath,
    ms: AnyPath,
    bundle: Bundle | AnyPath,
    *,
    memory: str | int,
    backend: str = "auto",
    threads: int = 1,
    tile: int | None = None,
    bit_depth: int | None = None,
) -> Plan:
    """The plan that `fuse` with the same arguments would follow. Raises like `fuse`."""
    with _prepared(pan, ms, bundle, memory, backend, threads, tile, bit_depth) as job:
        return job.plan


@dataclass(frozen=True)
class _Job:
    """Everything a run needs, opened and checked."""

    scene: Scene
    bundle: Bundle
    backend: Backend
    resampler: Resampler
    plan: Plan


@contextmanager
def _prepared(
    pan: AnyPath,
    ms: AnyPath,
    bundle: Bundle | AnyPath,
    memory: str | int,
    backend: str,
    threads: int,
    tile: int | None,
    bit_depth: int | None,
) -> Iterator[_Job]:
    """Open everything and plan; the raster library's cache is the plan's while the job is open."""
    budget_bytes = _budget(memory)
    if threads < 1:
        raise BackendError(f"{threads} threads were asked for; at least 1 is needed")
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    with (
        raster_cache(SMALLEST_CACHE),
        open_scene(pan, ms, opened.manifest, bit_depth) as scene,
    ):
        engine = open_backend(backend, opened, self_test=True)
        decided = make_plan(scene, opened, engine, budget_bytes, threads, tile)
        with raster_cache(decided.gdal_cache_bytes):
            yield _Job(scene, opened, engine, Resampler(scene.grid, opened.manifest.phase), decided)


def _budget(memory: str | int) -> int:
    try:
        return parse_size(memory)
    except ValueError as error:
        raise BudgetError(str(error)) from error


def _report(
    job: _Job, path: Path, digest: str, skipped: int, units: SceneUnits, seconds: float
) -> FuseReport:
    measured, budget = peak_bytes(), job.plan.budget_bytes
    if measured > budget:
        _log.warning(
            "memory budget exceeded: the run took %s at its peak, the budget was %s and %s were predicted;"
            " this is a defect, please report it",
            *map(format_size, (measured, budget, job.plan.predicted_peak_bytes)),
        )
    pixels = job.scene.height * job.scene.width
    return FuseReport(
        product=str(path),
        product_sha256=digest,
        backend=job.backend.name,
        isa=job.backend.isa,
        threads=job.plan.threads,
        tile=job.plan.tile,
        halo=job.plan.halo,
        budget_bytes=budget,
        predicted_peak_bytes=job.plan.predicted_peak_bytes,
        measured_peak_bytes=measured,
        pan_pixels=pixels,
        seconds=seconds,
        pan_pixels_per_second=pixels / seconds,
        resumed_tiles=0,
        skipped_tiles=skipped,
        units=units,
    )
