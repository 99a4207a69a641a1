"""One scenario: scene -> limit -> `bnnpan fuse` as a process of its own -> expectations -> report."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import OutputError, SceneError
from bnnpan_runtime.memory import format_size

from .limits import Limiter, Outcome, choose_limiter, run_limited
from .report import LEVEL, SimReport, Timeline
from .scenario import Expectation, Scenario, SceneFiles, SynthScene

BNNPAN = (sys.executable, "-m", "bnnpan_runtime")


def run_scenario(
    scenario: Scenario, work: Path, *, limiter: Limiter | None = None, out: Path | None = None
) -> SimReport:
    """Run a scenario and judge it.

    `work` keeps synthetic scenes for the next run and holds the product while it is made. It has to be on a
    disk: files in a file system in memory count against the limit. `out` keeps the product there.
    Raises SceneError if a synthetic scene cannot be made, OutputError if `work` cannot be written.
    """
    limiter = limiter or choose_limiter()
    limit = f"{format_size(scenario.limit_bytes)} enforced by {limiter.name}"
    timeline = Timeline()
    _make_folder(work)
    scene = _scene_files(scenario.scene, work / "scenes")
    timeline.add("scene ready", f"{scene.pan.name}, {scene.ms.name}")
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as folder:
        product = out or Path(folder) / "product.tif"
        outcome = run_limited(
            _fuse_command(scenario, scene, product),
            scenario.limit_bytes,
            limiter,
            cores=scenario.board.cores,
            timeout_seconds=scenario.timeout_seconds,
            started=lambda: timeline.add("started", limit),
        )
        has_product = product.exists()
    _note_end(timeline, outcome)
    return _judge(scenario, outcome, has_product, timeline)


def _fuse_command(scenario: Scenario, scene: SceneFiles, product: Path) -> list[str]:
    command = [*BNNPAN, "fuse", "--json", "--bundle", scenario.bundle, "--backend", scenario.backend]
    command += ["--pan", str(scene.pan), "--ms", str(scene.ms), "--out", str(product)]
    return [*command, "--memory", str(scenario.budget_bytes), "--threads", str(scenario.threads)]


def _scene_files(scene: SceneFiles | SynthScene, cache: Path) -> SceneFiles:
    if isinstance(scene, SceneFiles):
        return scene
    folder = cache / f"synth-{scene.size}-{scene.bands}x{scene.ratio}-{scene.seed}"
    if not folder.is_dir():
        _make_folder(cache)
        _synthesise(scene, folder)
    return SceneFiles(folder / "pan.tif", folder / "ms.tif")


def _synthesise(scene: SynthScene, folder: Path) -> None:
    """Make the scene under another name first, so that a folder with the final name is always complete."""
    with tempfile.TemporaryDirectory(prefix="part-", dir=folder.parent) as part:
        unfinished = Path(part) / folder.name
        command = [*BNNPAN, "scene", "synth", "--size", str(scene.size), "--bands", str(scene.bands)]
        command += ["--ratio", str(scene.ratio), "--seed", str(scene.seed), "--out", str(unfinished)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SceneError(f"no synthetic scene of {scene.size} pixels: {_last_line(result.stderr)}")
        try:
            unfinished.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another run has made the same scene in the meantime
                raise OutputError(f"{folder}: {error.strerror}; choose another folder with --work") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; choose another folder with --work") from error


def _note_end(timeline: Timeline, outcome: Outcome) -> None:
    if outcome.timed_out:
        timeline.add("timeout", "killed for taking too long")
    if outcome.killed:
        timeline.add("oom_kill", f"over {format_size(outcome.limit_bytes)}, killed by {outcome.enforced_by}")
    timeline.add("finished", f"exit code {outcome.exit_code}")


def _judge(scenario: Scenario, outcome: Outcome, has_product: bool, timeline: Timeline) -> SimReport:
    own = _own_report(outcome)
    failures = _failures(scenario, outcome, has_product)
    return SimReport(
        scenario=scenario.name,
        summary=scenario.summary,
        level=LEVEL,
        board=scenario.board.name,
        enforced_by=outcome.enforced_by,
        passed=not failures,
        exit_code=outcome.exit_code,
        killed=outcome.killed,
        budget_bytes=scenario.budget_bytes,
        limit_bytes=scenario.limit_bytes,
        peak_bytes=outcome.peak_bytes,
        charged_peak_bytes=outcome.charged_peak_bytes,
        predicted_peak_bytes=own.get("predicted_peak_bytes"),
        measured_peak_bytes=own.get("measured_peak_bytes"),
        product_sha256=own.get("product_sha256"),
        seconds=round(outcome.seconds, 3),
        cpu_seconds=round(outcome.cpu_seconds, 3),
        message=_last_line(outcome.stderr),
        failures=tuple(failures),
        events=timeline.events(),
    )


def _failures(scenario: Scenario, outcome: Outcome, has_product: bool) -> list[str]:
    expect: Expectation = scenario.expect
    failures = []
    if outcome.timed_out:
        failures.append(f"still running after {scenario.timeout_seconds:g} s")
    if expect.exit_code is not None and outcome.exit_code != expect.exit_code:
        message = _last_line(outcome.stderr)
        failures.append(f"exit code {outcome.exit_code}, expected {expect.exit_code}: {message}")
    if expect.killed is not None and outcome.killed != expect.killed:
        verb = "killed at" if outcome.killed else "not killed, but expected to exceed"
        failures.append(f"{verb} {format_size(outcome.limit_bytes)}")
    if expect.product is not None and has_product != expect.product:
        failures.append("a product was left behind" if has_product else "there is no product")
    within = outcome.peak_bytes <= scenario.budget_bytes
    if expect.peak_within_budget is not None and within != expect.peak_within_budget:
        peak, budget = format_size(outcome.peak_bytes), format_size(scenario.budget_bytes)
        failures.append(f"peak of {peak} is {'within' if within else 'over'} the budget of {budget}")
    return failures


def _own_report(outcome: Outcome) -> dict[str, Any]:
    """What fuse says about itself; empty if it ended before it could."""
    try:
        value = json.loads(outcome.stdout)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("bnnpan: error: ") if lines else "no message"
