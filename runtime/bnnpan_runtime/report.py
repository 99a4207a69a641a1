"""What one run did, in figures."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from bnnpan_runtime.contract import FuseReport, Plan
from bnnpan_runtime.memory import format_size, peak_bytes
from bnnpan_runtime.method import Method
from bnnpan_runtime.scene_units import SceneUnits

__all__ = ["Counts", "fuse_report", "with_peak"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counts:
    """Tiles that an interrupted run had finished, and tiles without a measurement among the others."""

    resumed: int
    skipped: int
    saturated_pixels: int | None


def fuse_report(
    method: Method,
    plan: Plan,
    product: Path,
    digest: str,
    tiles: Counts,
    units: SceneUnits,
    seconds: float,
) -> FuseReport:
    """The report of a run, whose product has this SHA-256, up to now."""
    scene, engine = method.scene, method.engine
    pixels = scene.height * scene.width
    signer = method.signer
    return FuseReport(
        product=str(product),
        product_sha256=digest,
        backend=engine.name,
        isa=engine.isa,
        threads=plan.threads,
        tile=plan.tile,
        halo=plan.halo,
        budget_bytes=plan.budget_bytes,
        predicted_peak_bytes=plan.predicted_peak_bytes,
        measured_peak_bytes=peak_bytes(),
        pan_pixels=pixels,
        seconds=seconds,
        pan_pixels_per_second=pixels / seconds,
        resumed_tiles=tiles.resumed,
        skipped_tiles=tiles.skipped,
        units=units,
        method=method.name,
        fallback_reason=method.fallback_reason,
        signer=None if signer is None else signer.name,
        signer_key_id=None if signer is None else signer.key_id,
        shift=method.shift,
        saturated_pixels=tiles.saturated_pixels,
        scene_notes=scene.notes,
        band_roles=method.band_roles,
    )


def with_peak(report: FuseReport) -> FuseReport:
    """The report at the end of the run. Warns of a budget that was not kept."""
    measured, budget = peak_bytes(), report.budget_bytes
    if measured > budget:
        _log.warning(
            "memory budget exceeded: the run took %s at its peak, the budget was %s and %s were predicted;"
            " this is a defect, please report it",
            *map(format_size, (measured, budget, report.predicted_peak_bytes)),
        )
    return replace(report, measured_peak_bytes=measured)
