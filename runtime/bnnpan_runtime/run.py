"""The whole flow: scene -> plan -> calibrate -> tiles -> graph -> mosaic -> product."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import FuseReport, Manifest, Plan
from bnnpan_runtime.errors import BackendError, BudgetError
from bnnpan_runtime.guard import Guard, Protection
from bnnpan_runtime.memory import format_size, parse_size, peak_bytes, reset_peak
from bnnpan_runtime.method import Method, MethodOptions, open_method
from bnnpan_runtime.pipeline import fused_tiles
from bnnpan_runtime.planning import SMALLEST_CACHE
from bnnpan_runtime.planning import plan as make_plan
from bnnpan_runtime.product.beginning import failing_clearly
from bnnpan_runtime.product.identity import identify
from bnnpan_runtime.product.mosaic import Order, check_output, open_mosaic
from bnnpan_runtime.product.tags import product_tags, sha256_of
from bnnpan_runtime.radiometry.saturation import count_saturated
from bnnpan_runtime.scene import MsPath, ms_paths
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.storage import raster_cache
from bnnpan_runtime.telemetry import SILENT, Telemetry
from bnnpan_runtime.telemetry.narrate import Narrator, telling_the_end
from bnnpan_runtime.trust.policy import Trust

__all__ = ["Progress", "fuse", "plan"]

AnyPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and in all."""

_log = logging.getLogger(__name__)


def fuse(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    out: AnyPath,
    *,
    memory: str | int,
    threads: int = 1,
    tile: int | None = None,
    overwrite: bool = False,
    resume: bool | None = None,
    progress: Progress | None = None,
    telemetry: Telemetry = SILENT,
    protection: Protection = Protection(),  # noqa: B008  # frozen
    **options: Unpack[MethodOptions],
) -> FuseReport:
    """Fuse a PAN and an MS raster into `out`, a tiled GeoTIFF, within `memory` for the whole process.

    memory     budget, in bytes or as text such as "128MiB"
    bundle     network to use; None for the classical method on any scene
    threads    tiles computed at the same time; one more thread reads and writes
    tile       side of the tiles in PAN pixels, if not the planned one; the product has the same pixels
    overwrite  replace an existing product
    resume     what to do with the finished part of an interrupted run: continue it if this run would have
               made the same (None), refuse if it would not (True), or discard it (False)
    telemetry  is told what happens, see docs/telemetry.md
    protection against flipped bits, see docs/radiation.md
    options    what makes the product, and what of the scene: see `MethodOptions`

    Raises SceneError, BundleError, BudgetError, OutputError, BackendError or VerificationError; `out` is then
    as it was before, and the next call continues with what is finished: a note on the exception tells how
    much that is.
    """
    started = time.perf_counter()
    path = Path(out)
    narrator = Narrator(telemetry)
    with telling_the_end(telemetry):
        narrator.started(out, pan, ms)
        check_output(path, tuple(map(Path, (pan, *ms_paths(ms)))), overwrite)
    with (
        telling_the_end(telemetry),
        _prepared(pan, ms, bundle, memory, threads, tile, options) as job,
    ):
        _remember(job.method, options.get("trust"))
        narrator.prepared(job.method, job.plan)
        method, tags = job.method, product_tags(job.method)
        constants = method.calibrate()
        narrator.calibrated(constants.units)
        identity = identify(method, constants, tags)
        order = Order(method.scene.product_format, tags, identity, overwrite, resume)
        fused = skipped = saturated = 0
        with open_mosaic(path, order) as mosaic:
            narrator.resumed(method.scene, job.plan, mosaic.has)
            guard = Guard(method, constants, job.plan, protection, telemetry)
            tiles = fused_tiles(
                method.scene, method.resampler, method.engine, constants, job.plan, mosaic.has, guard
            )
            with closing(tiles) as finished:
                for slot in finished:
                    mosaic.write(slot.tile.core, slot.product)
                    fused, skipped = fused + 1, skipped + slot.skipped
                    saturated += count_saturated(method.scene, slot)
                    narrator.written(slot.tile, slot.skipped, guard.under_way, guard.passes)
                    if progress is not None:
                        progress(slot.tile.index + 1, job.plan.tiles)
            mosaic.close()
            with failing_clearly(path):
                digest = sha256_of(mosaic.written)
            mosaic.commit()
        is_raw = options.get("radiometry") is not None
        counts = _Counts(job.plan.tiles - fused, skipped, saturated if is_raw else None)
        report = _report(job, path, digest, counts, constants.units, time.perf_counter() - started)
        narrator.committed(report)
        return report


def plan(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    *,
    memory: str | int,
    threads: int = 1,
    tile: int | None = None,
    **options: Unpack[MethodOptions],
) -> Plan:
    """The plan that `fuse` with the same arguments would follow. Raises like `fuse`."""
    with _prepared(pan, ms, bundle, memory, threads, tile, options) as job:
        return job.plan


@dataclass(frozen=True)
class _Job:
    """Everything a run needs, opened and checked."""

    method: Method
    plan: Plan


@dataclass(frozen=True)
class _Counts:
    """Tiles that an interrupted run had finished, and tiles without a measurement among the others."""

    resumed: int
    skipped: int
    saturated_pixels: int | None


@contextmanager
def _prepared(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    memory: str | int,
    threads: int,
    tile: int | None,
    options: MethodOptions,
) -> Iterator[_Job]:
    """Open everything and plan; the raster library's cache is the plan's while the job is open."""
    budget_bytes = _budget(memory)
    if threads < 1:
        raise BackendError(f"{threads} threads were asked for; at least 1 is needed")
    reset_peak()
    with raster_cache(SMALLEST_CACHE), open_method(pan, ms, bundle, **options) as method:
        decided = make_plan(
            method.scene, method.recipe, method.engine, budget_bytes, threads, tile, peak_bytes()
        )
        with raster_cache(decided.gdal_cache_bytes):
            yield _Job(method, replace(decided, fallback_reason=method.fallback_reason))


def _remember(method: Method, trust: Trust | None) -> None:
    """A network that is trusted and has passed its golden tile keeps older ones of its name out."""
    if trust is not None and method.signer is not None and isinstance(method.recipe, Manifest):
        trust.remember(method.recipe, method.signer)


def _budget(memory: str | int) -> int:
    try:
        return parse_size(memory)
    except ValueError as error:
        raise BudgetError(str(error)) from error


def _report(
    job: _Job, path: Path, digest: str, tiles: _Counts, units: SceneUnits, seconds: float
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
    signer = job.method.signer
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
        resumed_tiles=tiles.resumed,
        skipped_tiles=tiles.skipped,
        units=units,
        method=job.method.name,
        fallback_reason=job.method.fallback_reason,
        signer=None if signer is None else signer.name,
        signer_key_id=None if signer is None else signer.key_id,
        shift=job.method.shift,
        saturated_pixels=tiles.saturated_pixels,
        scene_notes=scene.notes,
    )
