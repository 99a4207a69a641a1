"""The real `bnnpan fuse` under enforced limits: planned runs survive, broken promises are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tracing import require_tracing

from bnnpan_runtime.errors import SceneError
from bnnpan_sim.board import load_board
from bnnpan_sim.limits import Limiter, run_limited
from bnnpan_sim.limits.disk import why_no_small_disk
from bnnpan_sim.run import run_scenario
from bnnpan_sim.scenario import (
    Expectation,
    Scenario,
    Slowness,
    WantedFault,
    load_scenario,
    scenario_names,
)
from bnnpan_sim.scenes import SceneFiles, SynthScene

BNNPAN = (sys.executable, "-m", "bnnpan_runtime")

MIB = 2**20


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneFiles:
    folder = tmp_path_factory.mktemp("scene") / "synth"
    subprocess.run([*BNNPAN, "scene", "synth", "--size", "1024", "--out", str(folder)], check=True)
    return SceneFiles(folder / "pan.tif", folder / "ms.tif")


@pytest.fixture(scope="module")
def smallest_budget_bytes(scene: SceneFiles) -> int:
    command = [*BNNPAN, "plan", "--pan", str(scene.pan), "--ms", str(scene.ms), "--memory", "1GiB", "--json"]
    plan = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return int(plan["smallest_budget_bytes"])


def test_a_run_planned_within_the_limit_survives_it(
    limiter: Limiter, scene: SceneFiles, smallest_budget_bytes: int, tmp_path: Path
) -> None:
    scenario = Scenario(
        name="promise kept",
        board=load_board("pi-zero-2w"),
        budget_bytes=smallest_budget_bytes,
        memory_limit_bytes=smallest_budget_bytes,
        scene=scene,
    )
    out = tmp_path / "product.tif"
    report = run_scenario(scenario, tmp_path / "work", limiter=limiter, out=out)
    assert report.passed, report.failures
    assert out.is_file()
    assert (report.exit_code, report.killed, report.level) == (0, False, 1)
    assert report.enforced_by == limiter.name
    assert report.measured_peak_bytes is not None
    assert report.measured_peak_bytes <= report.budget_bytes == report.limit_bytes
    assert report.peak_bytes is not None and 0 < report.peak_bytes <= report.budget_bytes
    names = [event.name for event in report.events]
    seen = ["scene ready", "started", "run_started", "plan_made", "calibrated", "tiles_done", "finished"]
    assert [name for name in names if name in seen] == seen
    assert {"product begun", "product_committed", "product complete"} <= set(names)
    assert report.samples and max(sample.resident_bytes for sample in report.samples) <= report.peak_bytes
    assert json.loads(json.dumps(report.to_json()))["passed"] is True


def test_a_run_that_breaks_its_promise_is_killed_and_leaves_no_product(
    limiter: Limiter, scene: SceneFiles, tmp_path: Path
) -> None:
    scenario = Scenario(
        name="promise broken",
        board=load_board("pi-zero-2w"),
        budget_bytes=352 * MIB,
        memory_limit_bytes=24 * MIB,
        scene=scene,
        expect=Expectation(exit_code=137, killed=True, product=False, peak_within_budget=None),
    )
    out = tmp_path / "product.tif"
    report = run_scenario(scenario, tmp_path / "work", limiter=limiter, out=out)
    assert report.passed, report.failures
    assert not out.exists()
    assert report.measured_peak_bytes is None
    names = [event.name for event in report.events]
    assert names[:2] == ["scene ready", "started"] and names[-2:] == ["oom_kill", "finished"]
    assert "product_committed" not in names


def test_the_doctor_sees_the_limit_it_runs_under(limiter: Limiter) -> None:
    if limiter.name == "watchdog":
        pytest.skip("watchdog: it makes no group")
    program = "from bnnpan_runtime.doctor import memory_limit; print(memory_limit())"
    outcome = run_limited([sys.executable, "-c", program], 160 * MIB, limiter)
    assert outcome.stdout == "160MiB\n", outcome.stderr


def test_a_broken_expectation_is_named(scene: SceneFiles, tmp_path: Path) -> None:
    scenario = Scenario(name="one byte", board=load_board("pi-zero-2w"), budget_bytes=1, scene=scene)
    report = run_scenario(scenario, tmp_path / "work")
    assert not report.passed
    assert report.exit_code == 5
    assert report.failures[0].startswith("exit code 5, expected 0: ")
    assert "there is no product" in report.failures


def test_a_synthetic_scene_is_made_once(tmp_path: Path) -> None:
    scenario = Scenario(
        name="synthetic",
        board=load_board("pi-zero-2w"),
        budget_bytes=352 * MIB,
        scene=SynthScene(size=128, seed=7),
    )
    assert run_scenario(scenario, tmp_path).passed
    (made,) = (tmp_path / "scenes").rglob("pan.tif")
    first = made.stat().st_mtime_ns
    assert run_scenario(scenario, tmp_path).passed
    assert made.stat().st_mtime_ns == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes"]


def test_a_synthetic_scene_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    scene = SynthScene(size=256, bands=5)
    scenario = Scenario(name="five", board=load_board("pi-zero-2w"), budget_bytes=MIB, scene=scene)
    with pytest.raises(SceneError, match="no synthetic scene of 256 pixels"):
        run_scenario(scenario, tmp_path)
    assert not list((tmp_path / "scenes").iterdir())


@pytest.mark.parametrize("name", scenario_names())
def test_the_scenarios_of_the_package_pass(name: str, tmp_path: Path) -> None:
    report = run_scenario(load_scenario(name), tmp_path)
    assert report.passed, report.failures


def test_expectations_of_time_digest_and_events_are_looked_at(scene: SceneFiles, tmp_path: Path) -> None:
    expect = Expectation(deadline_seconds=0.001, product_sha256="0" * 64, events=("finished", "started"))
    board = load_board("pi-zero-2w")
    scenario = Scenario(name="x", board=board, budget_bytes=352 * MIB, scene=scene, expect=expect)
    late, digest, order = run_scenario(scenario, tmp_path).failures
    assert late.endswith("0.001 s were allowed")
    assert digest.startswith("the product has sha256")
    assert order == "event 'started' was not seen, or not in its place"


def test_a_slower_board_is_slower_or_the_report_says_why_not(scene: SceneFiles, tmp_path: Path) -> None:
    slowness = Slowness(cpu_percent=50, storage=True, disk_bytes=64 * MIB)
    board = load_board("pi-zero-2w")
    scenario = Scenario(name="hot", board=board, budget_bytes=352 * MIB, scene=scene, slowness=slowness)
    report = run_scenario(scenario, tmp_path, out=tmp_path / "kept.tif")
    assert report.passed, report.failures
    assert (tmp_path / "kept.tif").is_file()
    for subject in ("processor time", "storage", "disk"):
        assert any(subject in note for note in report.notes), (subject, report.notes)


def test_a_disk_too_small_for_the_product_is_a_refusal(scene: SceneFiles, tmp_path: Path) -> None:
    if reason := why_no_small_disk():
        pytest.skip(reason)
    expect = Expectation(exit_code=6, product=False)
    scenario = Scenario(
        name="full",
        board=load_board("pi-zero-2w"),
        budget_bytes=352 * MIB,
        scene=scene,
        slowness=Slowness(disk_bytes=6 * MIB),
        expect=expect,
    )
    report = run_scenario(scenario, tmp_path)
    if any("not limited" in note for note in report.notes):
        pytest.skip("; ".join(report.notes))
    assert report.passed, report.failures
    assert "are free" in report.message


def test_faults_of_a_scenario_are_tried_and_judged(tmp_path: Path) -> None:
    require_tracing()
    scenario = Scenario(
        name="faults",
        board=load_board("pi-zero-2w"),
        budget_bytes=352 * MIB,
        scene=SynthScene(size=128, seed=7),
        faults=(WantedFault("kill", seed=3),),
        expect=Expectation(outcomes=("refused",)),
    )
    report = run_scenario(scenario, tmp_path)
    (fault,) = report.faults
    assert fault.kind == "kill" and fault.outcome in ("recovered", "harmless")
    (failure,) = report.failures
    assert failure.endswith("bnnpan sim campaign --kinds kill --seed 3 --only 0")
