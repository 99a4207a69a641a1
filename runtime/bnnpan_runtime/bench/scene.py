"""Whole processes on a whole scene: `fuse`, the copy no fusion can beat, and the start-up both contain.

Each runs in a process of its own, so that memory and processor time are its own; they take turns.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from bnnpan_runtime.bench.contest import spread
from bnnpan_runtime.bench.process import Usage, run_process
from bnnpan_runtime.bench.rows import Row, SceneRow
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.synth.capture import Scene
from bnnpan_runtime.synth.write import write_scene

__all__ = ["scene_rows"]

MEMORY = "256MiB"
"""Budget of `fuse`: ample, so that tiles are as large as they get."""

BIT_DEPTH = 11


@dataclass(frozen=True)
class _Result:
    """One run of a job; `report` is what it printed, as JSON."""

    usage: Usage
    report: dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """A command to repeat."""

    what: str
    threads: int
    command: Sequence[str]


def scene_rows(
    bundle: Bundle, size: int, rows: Sequence[Row], cores: int, repeats: int
) -> tuple[SceneRow, ...]:
    """Medians over `repeats` on an uncompressed synthetic scene of `size x size` PAN pixels.

    `rows` are those of single tiles, for comparison. Raises BackendError if a process fails.
    """
    network = bundle.manifest.network
    with tempfile.TemporaryDirectory(prefix="bnnpan-bench-") as folder:
        here = Path(folder)
        write_scene(here, Scene(0, network.bands, network.ratio, BIT_DEPTH), size, size)
        jobs = _jobs(bundle, here, sorted({1, cores}))
        results: dict[_Job, list[_Result]] = {job: [] for job in jobs}
        for _ in range(repeats):
            for job in jobs:
                results[job].append(_run(job.command))
    start = _summary(jobs[-1], size, results[jobs[-1]])
    summaries = [_started(_summary(job, size, results[job]), start, results[job]) for job in jobs[:-1]]
    return (*(_compared(row, rows, network.channels) for row in summaries), start)


def _jobs(bundle: Bundle, folder: Path, threads: Sequence[int]) -> list[_Job]:
    scene = ("--pan", str(folder / "pan.tif"), "--ms", str(folder / "ms.tif"))
    choices = ("--bundle", str(bundle.path), "--memory", MEMORY, "--backend", "native")
    common = (*scene, *choices, "--bit-depth", str(BIT_DEPTH), "--json")
    bnnpan = (sys.executable, "-m", "bnnpan_runtime", "--quiet")
    floor = (sys.executable, "-m", "bnnpan_runtime.bench.floor")
    out = str(folder / "product.tif")
    return [
        *(
            _Job("fuse", n, (*bnnpan, "fuse", *common, "--threads", str(n), "--out", out, "--overwrite"))
            for n in threads
        ),
        _Job("floor", 1, (*floor, str(folder / "pan.tif"), str(bundle.manifest.network.bands), out)),
        _Job("plan", 1, (*bnnpan, "plan", *common)),
    ]


def _run(command: Sequence[str]) -> _Result:
    usage = run_process(command, {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    return _Result(usage, json.loads(usage.output))


def _summary(job: _Job, size: int, results: Sequence[_Result]) -> SceneRow:
    report, usages = results[0].report, [result.usage for result in results]
    tile, backend = report.get("tile"), report.get("backend")
    return SceneRow(
        what=job.what,
        backend=backend if isinstance(backend, str) else None,
        size=size,
        threads=job.threads,
        tile=tile if isinstance(tile, int) else None,
        seconds=median(usage.seconds for usage in usages),
        cpu_seconds=median(usage.cpu_seconds for usage in usages),
        relative_spread=spread([usage.seconds for usage in usages]),
        # As the process says: the kernel's figure would hold our own peak, too.
        peak_bytes=max(int(result.report.get("measured_peak_bytes", 0)) for result in results),
    )


def _started(row: SceneRow, start: SceneRow, results: Sequence[_Result]) -> SceneRow:
    """With what of it was start-up."""
    if row.what != "floor":
        return replace(row, start_seconds=start.seconds, start_cpu_seconds=start.cpu_seconds)
    inside = [(float(r.report["seconds"]), float(r.report["cpu_seconds"])) for r in results]
    seconds, cpu_seconds = (median(values) for values in zip(*inside, strict=True))
    return replace(
        row,
        start_seconds=row.seconds - seconds,
        start_cpu_seconds=row.cpu_seconds - cpu_seconds,
    )


def _compared(row: SceneRow, rows: Sequence[Row], channels: int) -> SceneRow:
    """Speeds with start-up and without, and against the speed of single tiles."""
    pixels = row.size**2
    seconds, cpu_seconds = row.seconds - row.start_seconds, row.cpu_seconds - row.start_cpu_seconds
    speed = pixels / seconds if seconds > 0 else None
    tile_speed = _tile_speed(rows, channels, row) if row.what == "fuse" else None
    return replace(
        row,
        pan_pixels_per_second=pixels / row.seconds,
        pan_pixels_per_cpu_second=pixels / row.cpu_seconds,
        pan_pixels_per_second_after_start=speed,
        pan_pixels_per_cpu_second_after_start=pixels / cpu_seconds if cpu_seconds > 0 else None,
        share_of_tile_throughput=speed / tile_speed if speed and tile_speed else None,
    )


def _tile_speed(rows: Sequence[Row], channels: int, scene: SceneRow) -> float | None:
    """PAN pixels per second of single tiles: of the size that the scene was cut into, else of the largest."""
    alike = [
        row
        for row in rows
        if (row.stage, row.backend, row.channels, row.threads) == ("tile", "native", channels, scene.threads)
    ]
    same = [row for row in alike if row.tile == scene.tile] or sorted(alike, key=lambda row: -row.tile)
    return same[0].pan_pixels_per_second if same else None
