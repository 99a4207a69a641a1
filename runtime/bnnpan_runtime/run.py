"""The whole flow: scene -> plan -> calibrate -> tiles -> graph -> mosaic -> product."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import FuseReport, Manifest, Plan, SceneQuality
from bnnpan_runtime.demands import LATE_BYTES, Demands, late_tags
from bnnpan_runtime.errors import BackendError, BudgetError
from bnnpan_runtime.finishing.finish import finish, finishing_bytes
from bnnpan_runtime.finishing.order import Finishing, item_path, remove_stale
from bnnpan_runtime.guard import Guard, Protection
from bnnpan_runtime.judging.gate import Judging
from bnnpan_runtime.memory import give_back_large_blocks, parse_size, reset_peak
from bnnpan_runtime.method import Method, MethodOptions, open_method
from bnnpan_runtime.pipeline import fused_tiles
from bnnpan_runtime.planning import SMALLEST_CACHE, Footprint
from bnnpan_runtime.planning import plan as make_plan
from bnnpan_runtime.product.beginning import failing_clearly
from bnnpan_runtime.product.identity import identify
from bnnpan_runtime.product.mosaic import Mosaic, Order, check_output, open_mosaic
from bnnpan_runtime.product.tags import product_tags, sha256_of
from bnnpan_runtime.radiometry.corrected import CorrectedScene
from bnnpan_runtime.radiometry.saturation import count_saturated
from bnnpan_runtime.report import Counts, fuse_report, with_peak
from bnnpan_runtime.scene import MsPath, ms_paths
from bnnpan_runtime.stac.beside import write_item
from bnnpan_runtime.storage import raster_cache
from bnnpan_runtime.telemetry import SILENT, Telemetry
from bnnpan_runtime.telemetry.narrate import Narrator, telling_the_end
from bnnpan_runtime.tiles import tiles as tiles_of
from bnnpan_runtime.trust.policy import Trust
from bnnpan_runtime.urgency.deadline import Deadline, Urgency

__all__ = ["Job", "Progress", "fuse", "plan", "prepared"]

AnyPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and in all."""


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
    mask: AnyPath | None = None,
    judging: Judging = Judging(),  # noqa: B008  # frozen
    urgency: Urgency = Urgency(),  # noqa: B008  # frozen
    finishing: Finishing = Finishing(),  # noqa: B008  # frozen
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
    mask       also write what each pixel is from, see `PixelClass`
    judging    measure the product's quality, and what to do where it is low, see docs/quality.md
    urgency    what to do first, and when to end; `missing_tiles` of the report are then left to the same
               call without a deadline
    finishing  a Cloud Optimized GeoTIFF, a thumbnail, a STAC item, see docs/product.md; without missing tiles
    options    what makes the product, and what of the scene: see `MethodOptions`

    Raises SceneError, BundleError, BudgetError, OutputError, BackendError or VerificationError; `out` is then
    as it was before, but that a partial product which was being completed stays hidden, and the next call
    continues with what is finished: a note on the exception tells how much that is.
    """
    started, deadline, narrator = time.perf_counter(), Deadline(urgency), Narrator(telemetry)
    path, demands = Path(out), Demands(None if mask is None else Path(mask), judging, urgency)
    with telling_the_end(telemetry):
        narrator.started(out, pan, ms)
        inputs = tuple(map(Path, (pan, *ms_paths(ms))))
        check_output(path, inputs, overwrite)
        demands.check_mask(path, inputs, overwrite)
    with (
        telling_the_end(telemetry),
        prepared(pan, ms, bundle, memory, threads, tile, options, demands, finishing) as job,
    ):
        _remember(job.method, options.get("trust"))
        narrator.prepared(job.method, job.plan)
        constants = job.method.calibrate()
        narrator.calibrated(constants.units)
        guard = Guard(job.method, constants, job.plan, protection, telemetry)
        run = _Run(job, constants, guard, demands, finishing, deadline, narrator)
        gate = demands.gate(job.method, constants, narrator.judged(job.method.scene, job.plan))
        with open_mosaic(path, replace(run.order(), overwrite=overwrite, resume=resume)) as mosaic:
            if gate is not None:
                gate.restore(mosaic.notes)
                mosaic.inspect_with(gate)
            counts = _write_tiles(run, mosaic, progress)
            quality = None if gate is None else gate.scene_quality
            report = _complete(run, mosaic, counts, quality, started)
        narrator.committed(report)
        return report


@dataclass(frozen=True)
class _Run:
    """A run that has calibrated: what it goes by from its first tile to its last step."""

    job: Job
    constants: SceneConstants
    guard: Guard
    demands: Demands
    finishing: Finishing
    deadline: Deadline
    narrator: Narrator

    def order(self) -> Order:
        """The product to begin or to go on with."""
        method, demands = self.job.method, self.demands
        tags = product_tags(method)
        return Order(
            form=method.scene.product_format,
            tags=tags,
            identity=identify(method, self.constants, tags, demands.identity),
            mask=demands.mask_order,
            note_bytes=demands.note_bytes(method.scene),
            late_bytes=LATE_BYTES,
            copied=self.finishing.cog,
        )


def _write_tiles(run: _Run, mosaic: Mosaic, progress: Progress | None) -> Counts:
    """Fuse what is not finished yet, as far as the time allows."""
    method, plan = run.job.method, run.job.plan
    scene, narrator, guard = method.scene, run.narrator, run.guard
    classifier = run.demands.classifier(method, plan)
    skipped = saturated = 0
    resumed = done = narrator.resumed(scene, plan, mosaic.has)
    order = run.demands.order(scene, plan)
    tiles = fused_tiles(scene, method.resampler, method.engine, run.constants, plan, mosaic.has, guard, order)
    with failing_clearly(mosaic.path):
        run.deadline.tiles_begin(mosaic)
    with closing(tiles) as finished:
        for slot in run.deadline.tiles_in_time(finished, mosaic):
            classes = None if classifier is None else classifier.classes(slot)
            mosaic.write(slot.tile.core, slot.product, classes)
            done, skipped = done + 1, skipped + slot.skipped
            saturated += count_saturated(scene, slot)
            narrator.written(slot.tile, slot.skipped, guard.under_way, guard.passes)
            if progress is not None:
                progress(done, plan.tiles)
    return Counts(resumed, skipped, saturated if isinstance(scene, CorrectedScene) else None)


def _complete(
    run: _Run, mosaic: Mosaic, counts: Counts, quality: SceneQuality | None, started: float
) -> FuseReport:
    """Make of the blocks what the product is to be, and give it its name.

    What lies beside the product comes before it: whoever sees the product finds everything.
    """
    method, plan, path = run.job.method, run.job.plan, mosaic.path
    missing = _missing_tiles(run.job, mosaic)
    finishing = Finishing() if missing else run.finishing
    if missing:
        run.narrator.out_of_time(run.deadline.seconds or 0.0, plan.tiles, missing)
        mosaic.drop_incomplete()
    pixels = method.scene.height * method.scene.width
    mosaic.close(late_tags(quality, mosaic.missing_pixels, pixels), is_partial=missing > 0)
    with failing_clearly(path):
        made = finish(mosaic, method, finishing, run.narrator.telemetry)
        digest = sha256_of(made.file)
    item, mask = item_path(path) if finishing.stac else None, run.demands.mask
    seconds = time.perf_counter() - started
    report = replace(
        fuse_report(method, plan, path, digest, counts, run.constants.units, seconds),
        mask=None if mask is None else str(mask),
        quality=quality,
        missing_tiles=missing,
        missing_pixels=mosaic.missing_pixels,
        statistics=made.statistics,
        thumbnail=None if made.thumbnail is None else str(made.thumbnail),
        item=None if item is None else str(item),
    )
    if item is not None:
        with failing_clearly(path):
            write_item(item, mosaic, method, report, made, finishing)
    with failing_clearly(path):
        remove_stale(path, kept=(made.thumbnail, item))
    mosaic.commit(made.copy, digest)
    return with_peak(report)


def plan(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    *,
    memory: str | int,
    threads: int = 1,
    tile: int | None = None,
    mask: AnyPath | None = None,
    judging: Judging = Judging(),  # noqa: B008  # frozen
    urgency: Urgency = Urgency(),  # noqa: B008  # frozen
    finishing: Finishing = Finishing(),  # noqa: B008  # frozen
    **options: Unpack[MethodOptions],
) -> Plan:
    """The plan that `fuse` with the same arguments would follow. Raises like `fuse`."""
    demands = Demands(None if mask is None else Path(mask), judging, urgency)
    with prepared(pan, ms, bundle, memory, threads, tile, options, demands, finishing) as job:
        return job.plan


@dataclass(frozen=True)
class Job:
    """Everything a run needs, opened and checked."""

    method: Method
    plan: Plan


@contextmanager
def prepared(
    pan: AnyPath,
    ms: MsPath,
    bundle: Bundle | AnyPath | None,
    memory: str | int,
    threads: int,
    tile: int | None,
    options: MethodOptions,
    demands: Demands = Demands(),  # noqa: B008  # frozen
    finishing: Finishing = Finishing(),  # noqa: B008  # frozen
) -> Iterator[Job]:
    """Open everything and plan; the raster library's cache is the plan's while the job is open."""
    budget_bytes = _budget(memory)
    if threads < 1:
        raise BackendError(f"{threads} threads were asked for; at least 1 is needed")
    give_back_large_blocks()
    reset_peak()
    with raster_cache(SMALLEST_CACHE), open_method(pan, ms, bundle, **options) as method:
        scene, recipe = method.scene, method.recipe
        demands.first_area(scene)  # wrong ones are refused here, before anything is written
        decided = make_plan(
            scene,
            recipe,
            method.engine,
            budget_bytes,
            threads,
            tile,
            Footprint.of_this_process(method.read_bytes),
            lambda side: demands.terms(scene, recipe, side),
            finishing_bytes(scene.product_format, finishing),
        )
        with raster_cache(decided.gdal_cache_bytes):
            yield Job(method, replace(decided, fallback_reason=method.fallback_reason))


def _missing_tiles(job: Job, mosaic: Mosaic) -> int:
    """Tiles that the product does not have whole."""
    if not mosaic.missing_pixels:
        return 0
    scene, plan = job.method.scene, job.plan
    every = tiles_of(scene.height, scene.width, plan.tile, plan.halo)
    return sum(not mosaic.is_complete(tile.core) for tile in every)


def _remember(method: Method, trust: Trust | None) -> None:
    """A network that is trusted and has passed its golden tile keeps older ones of its name out."""
    if trust is not None and method.signer is not None and isinstance(method.recipe, Manifest):
        trust.remember(method.recipe, method.signer)


def _budget(memory: str | int) -> int:
    try:
        return parse_size(memory)
    except ValueError as error:
        raise BudgetError(str(error)) from error
