"""The real `bnnpan fuse` under enforced limits: planned runs survive, broken promises are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bnnpan_runtime.errors import SceneError
from bnnpan_sim.board import load_board
from bnnpan_sim.limits import Limiter, run_limited
from bnnpan_sim.run import BNNPAN, run_scenario
from bnnpan_sim.scenario import Expectation, Scenario, SceneFiles, SynthScene, load_scenario, scenario_names

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
    assert 0 < report.peak_bytes <= report.budget_bytes
    assert [event.name for event in report.events] == ["scene ready", "started", "finished"]
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
    assert [event.name for event in report.events] == ["scene ready", "started", "oom_kill", "finished"]


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
