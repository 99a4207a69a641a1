"""The whole flow: scene -> plan -> calibrate -> tiles -> graph -> mosaic -> product."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import FuseReport, Plan
from bnnpan_runtime.errors import BackendError, BudgetError
from bnnpan_runtime.memory import format_size, parse_size, peak_bytes, reset_peak
from bnnpan_runtime.method import Method, open_method
from bnnpan_runtime.mosaic import check_output, open_mosaic
from bnnpan_runtime.pipeline import fused_tiles
from bnnpan_runtime.planning import SMALLEST_CACHE
from bnnpan_runtime.planning import plan as make_plan
from bnnpan_runtime.product import product_tags, sha256_of
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
    bundle: Bundle | AnyPath | None,
    out: AnyPath,
    *,
    memory: str | int,
    backend: str = "auto",
    threads: int = 1,
    tile: int | None = None,
    bit_depth: int | None = None,
    fallback: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FuseReport:
    """Fuse a PAN and an MS raster into `out`, a tiled GeoTIFF, within `memory` for the whole process.

    memory     budget, in bytes or as text such as "128MiB"
    bundle     network to use; None for the classical method on any scene
    backend    "native", "onnx", "tflite", or "auto" for the first of them that works; or "classical"
    threads    tiles computed at the same time; one more thread reads and writes
    tile       side of the tiles in PAN pixels, if not the planned one; the product has the same pixels
    bit_depth  bits of a uint16 scene, if not those of the bundle; without effect in scene units
    fallback   let the classical method make the product if the network cannot run; the report says so
    overwrite  replace an existing product

    Raises SceneError, BundleError, BudgetError, OutputError or BackendError; `out` is then as it was before.
    """
    started = time.perf_counter()
    path = Path(out)
    check_output(path, (Path(pan), Path(ms)), overwrite)
    with _prepared(pan, ms, bundle, memory, backend, threads, tile, bit_depth, fallback) as job:
        method, skipped = job.method, 0
        with open_mosaic(path, method.scene.product_format, product_tags(method)) as mosaic:
            constants = method.calibrate()
            tiles = fused_tiles(method.scene, method.resampler, method.engine, constants, job.plan)
            with closing(tiles) as finished:
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
    bundle: Bundle | AnyPath | None,
    *,
    memory: str | int,
    backend: str = "auto",
    threads: int = 1,
    tile: int | None = None,
    bit_depth: int | None = None,
    fallback: bool = False,
) -> Plan:
    """The plan that `fuse` with the same arguments would follow. Raises like `fuse`."""
    with _prepared(pan, ms, bundle, memory, backend, threads, tile, bit_depth, fallback) as job:
        return job.plan


@dataclass(frozen=True)
class _Job:
    """Everything a run needs, opened and checked."""

    method: Method
    plan: Plan


@contextmanager
def _prepared(
    pan: AnyPath,
    ms: AnyPath,
    bundle: Bundle | AnyPath | None,
    memory: str | int,
    backend: str,
    threads: int,
    tile: int | None,
    bit_depth: int | None,
    fallback: bool,
) -> Iterator[_Job]:
    """Open everything and plan; the raster library's cache is the plan's while the job is open."""
    budget_bytes = _budget(memory)
    if threads < 1:
        raise BackendError(f"{threads} threads were asked for; at least 1 is needed")
    reset_peak()
    with (
        raster_cache(SMALLEST_CACHE),
        open_method(pan, ms, bundle, backend, bit_depth, fallback=fallback) as method,
    ):
        decided = make_plan(
            method.scene, method.recipe, method.engine, budget_bytes, threads, tile, peak_bytes()
        )
        with raster_cache(decided.gdal_cache_bytes):
            yield _Job(method, replace(decided, fallback_reason=method.fallback_reason))


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
    scene, engine = job.method.scene, job.method.engine
    pixels = scene.height * scene.width
    return FuseReport(
        product=str(path),
        product_sha256=digest,
        backend=engine.name,
        isa=engine.isa,
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
        method=job.method.name,
        fallback_reason=job.method.fallback_reason,
    )
