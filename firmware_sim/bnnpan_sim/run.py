"""One scenario: scene -> limits -> `bnnpan fuse` as a process -> faults -> expectations -> report."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.memory import format_size

from .job import Job
from .judge import Evidence, failures
from .levels import NATIVE, WHOLE_BOARD, Level, Native, level
from .limits import Limiter, Outcome, Throttle
from .limits.disk import small_disk
from .report import Event, FaultResult, SimReport, Timeline
from .scenario import Scenario
from .scenes import SceneFiles, last_line, make_folder, scene_files


def run_scenario(
    scenario: Scenario,
    work: Path,
    *,
    limiter: Limiter | None = None,
    out: Path | None = None,
    tell: Callable[[Event], None] = lambda event: None,
) -> SimReport:
    """Run a scenario and judge it.

    `work` keeps synthetic scenes for the next run and holds the product while it is made. It has to be on a
    disk: files in a file system in memory count against the limit. `out` keeps the product there.
    `tell` is told of what happens as it is seen.
    Raises SceneError if a synthetic scene cannot be made, OutputError if `work` cannot be written,
    ConfigError if the level was not prepared.
    """
    chosen = level(scenario.level, limiter)
    notes = chosen.notes(scenario.board)
    timeline = Timeline(tell)
    make_folder(work)
    scene = scene_files(scenario.scene, work / "scenes")
    timeline.add("scene ready", f"{scene.pan.name}, {scene.ms.name}")
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as folder:
        with _place(scenario, Path(folder), notes) as place:
            product = out if out is not None and place == Path(folder) else place / "product.tif"
            events = Path(folder) / "events.jsonl"
            outcome = _run(scenario, scene, chosen, product, events, timeline)
            digest = _sha256(product)
            if digest and out not in (None, product):
                shutil.copyfile(product, out)
        _note_end(timeline, outcome)
        timeline.add_told(events)
        native = None
        if chosen.number != NATIVE and scenario.expect.same_as_native and digest:
            native = _native_sha256(scenario, scene, Path(folder))
        faults = _faults(scenario, scene, work) if digest else []
    evidence = Evidence(outcome, digest, native, chosen.memory_counts, timeline.events(), faults)
    return _report(scenario, evidence, failures(scenario, evidence), [*outcome.said, *notes])


@contextmanager
def _place(scenario: Scenario, folder: Path, notes: list[str]) -> Iterator[Path]:
    """Where the product is written: a disk of the wanted size, if one can be made."""
    size_bytes = scenario.slowness.disk_bytes
    if size_bytes is None or scenario.level == WHOLE_BOARD:  # which has a disk of its own
        yield folder
        return
    with ExitStack() as stack:
        try:
            place = stack.enter_context(small_disk(size_bytes, folder))
            notes.append(f"the product's disk has {format_size(size_bytes)}")
        except OSError as error:
            place = folder
            notes.append(f"disk size not limited: {error}")
        yield place


def _run(
    scenario: Scenario,
    scene: SceneFiles,
    chosen: Level,
    product: Path,
    events: Path,
    timeline: Timeline,
) -> Outcome:
    job = Job(
        arguments=[*fuse_arguments(scenario, scene, product, chosen), "--events", str(events)],
        board=scenario.board,
        limit_bytes=scenario.limit_bytes,
        timeout_seconds=scenario.timeout_seconds,
        throttle=_throttle(scenario, product.parent),
        outputs=(product, events),
        disk_bytes=scenario.slowness.disk_bytes,
        happened=timeline.add,
        watch=_watching(product, timeline),
    )
    return chosen.run(job)


def fuse_arguments(scenario: Scenario, scene: SceneFiles, product: Path, chosen: Level) -> list[str]:
    """What `bnnpan` is told."""
    command = ["fuse", "--json", "--bundle", scenario.bundle, "--backend", scenario.backend]
    command += ["--pan", str(scene.pan), "--ms", str(scene.ms), "--out", str(product)]
    command += ["--memory", str(chosen.budget_bytes(scenario.budget_bytes))]
    return [*command, "--threads", str(scenario.threads), *scenario.arguments]


def _throttle(scenario: Scenario, folder: Path) -> Throttle:
    slowness, board = scenario.slowness, scenario.board
    cores = None
    if slowness.cpu_percent is not None:
        lent = min(board.cores, len(os.sched_getaffinity(0)))
        cores = lent * slowness.cpu_percent / 100
    read, write = board.storage_read_mb_per_second, board.storage_write_mb_per_second
    if not slowness.storage:
        read = write = None
    return Throttle(cores, read and read * 10**6, write and write * 10**6, folder)


def _watching(product: Path, timeline: Timeline) -> Callable[[], None]:
    """Notes, as seen from outside, when the unfinished product appears and when the finished one does."""
    waiting = {
        "product begun": lambda: any(product.parent.glob(f".{product.name}.*")),
        "product complete": product.exists,
    }
    if product.exists():
        waiting.clear()

    def watch() -> None:
        for name in [name for name, happened in waiting.items() if happened()]:
            timeline.add(name, "seen from outside")
            del waiting[name]

    return watch


def _note_end(timeline: Timeline, outcome: Outcome) -> None:
    if outcome.timed_out:
        timeline.add("timeout", "killed for taking too long")
    if outcome.killed:
        timeline.add("oom_kill", f"over {format_size(outcome.limit_bytes)}, killed by {outcome.enforced_by}")
    timeline.add("finished", f"exit code {outcome.exit_code}")


def _native_sha256(scenario: Scenario, scene: SceneFiles, folder: Path) -> str:
    """The product of level 1, whatever memory it takes."""
    product, native = folder / "native.tif", Native()
    command = native.command(fuse_arguments(scenario, scene, product, native), scenario.board)
    command += ["--memory", "2GiB"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    digest = _sha256(product)
    if digest is None:
        raise VerificationError(f"no native product to compare with: {last_line(result.stderr)}")
    return digest


def _faults(scenario: Scenario, scene: SceneFiles, work: Path) -> list[FaultResult]:
    if not scenario.faults:
        return []
    from .faults.campaign import Campaign

    arguments = ["--bundle", scenario.bundle, "--backend", scenario.backend, *scenario.arguments]
    arguments += ["--memory", str(scenario.budget_bytes), "--threads", str(scenario.threads)]
    results = []
    with Campaign(scene, arguments, work) as campaign:
        for wanted in scenario.faults:
            for seed in range(wanted.seed, wanted.seed + wanted.count):
                trial = campaign.trial(wanted.kind, seed, 0)
                results.append(FaultResult(trial.kind, seed, trial.outcome, trial.detail, trial.repeat))
    return results


def _report(scenario: Scenario, evidence: Evidence, failed: list[str], notes: list[str]) -> SimReport:
    outcome = evidence.outcome
    own = _own_report(outcome)
    if "backend" in own:
        notes = [f"backend {own['backend']} ({own.get('isa')})", *notes]
    return SimReport(
        scenario=scenario.name,
        summary=scenario.summary,
        level=scenario.level,
        board=scenario.board.name,
        enforced_by=outcome.enforced_by,
        passed=not failed,
        exit_code=outcome.exit_code,
        killed=outcome.killed,
        budget_bytes=scenario.budget_bytes,
        limit_bytes=scenario.limit_bytes,
        peak_bytes=outcome.peak_bytes if evidence.memory_counts else None,
        charged_peak_bytes=outcome.charged_peak_bytes,
        predicted_peak_bytes=own.get("predicted_peak_bytes"),
        measured_peak_bytes=own.get("measured_peak_bytes"),
        product_sha256=evidence.product_sha256,
        seconds=round(outcome.seconds, 3),
        cpu_seconds=round(outcome.cpu_seconds, 3),
        message=last_line(outcome.stderr),
        failures=tuple(failed),
        events=tuple(evidence.events),
        notes=tuple(notes),
        samples=outcome.samples if evidence.memory_counts else (),
        faults=tuple(evidence.faults),
    )


def _own_report(outcome: Outcome) -> dict[str, Any]:
    """What fuse says about itself; empty if it ended before it could."""
    try:
        value = json.loads(outcome.stdout)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
