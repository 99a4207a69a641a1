"""The checks can fail: a broken runtime is caught by the simulator, a sound one is not."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
from mutants import break_runtime
from tracing import require_tracing

from bnnpan_sim.board import load_board
from bnnpan_sim.faults.campaign import Campaign
from bnnpan_sim.faults.plans import Plan, Workspace, plan
from bnnpan_sim.faults.power import why_no_power_cut
from bnnpan_sim.faults.trace import Injection
from bnnpan_sim.run import run_scenario
from bnnpan_sim.scenario import Expectation, Scenario
from bnnpan_sim.scenes import SynthScene, scene_files

MIB = 2**20
SCENE = SynthScene(size=128, seed=7)


@pytest.fixture
def scenario() -> Scenario:
    return Scenario(name="x", board=load_board("pi-zero-2w"), budget_bytes=160 * MIB, scene=SCENE)


def test_a_runtime_one_mebibyte_over_its_budget_is_caught(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = run_scenario(scenario, tmp_path)
    assert sound.passed, sound.failures
    break_runtime("over budget", tmp_path, monkeypatch)
    report = run_scenario(scenario, tmp_path)
    (failure,) = report.failures
    assert "over the budget of 160MiB" in failure
    assert report.exit_code == 0 and report.product_sha256 == sound.product_sha256


def test_a_runtime_over_its_budget_is_killed_where_the_budget_is_the_limit(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_runtime("over budget", tmp_path, monkeypatch)
    tight = dataclasses.replace(scenario, memory_limit_bytes=scenario.budget_bytes - 64 * MIB)
    report = run_scenario(tight, tmp_path)
    assert report.killed and "killed at 96MiB" in report.failures
    assert report.product_sha256 is None


def test_one_wrong_bit_in_the_product_is_caught(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = run_scenario(scenario, tmp_path).product_sha256
    expecting = dataclasses.replace(scenario, expect=Expectation(product_sha256=digest))
    assert run_scenario(expecting, tmp_path).passed
    break_runtime("wrong bit", tmp_path, monkeypatch)
    report = run_scenario(expecting, tmp_path)
    (failure,) = report.failures
    assert failure.startswith("the product has sha256") and failure.endswith(f"expected {digest}")


def test_a_runtime_that_swallows_write_errors_is_caught_as_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first write of pixels, behind frame, blocks and journal, fails: a sound runtime says so."""
    outcomes = {
        broken: outcomes_of(
            [Plan("", (Injection("pwrite64", "error=EIO", "4"),))],
            "deaf to errors" if broken else None,
            tmp_path / str(broken),
            monkeypatch,
        )
        for broken in (False, True)
    }
    assert outcomes == {False: {"recovered"}, True: {"silent"}}


def test_a_skipped_fsync_is_caught_by_cutting_the_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := why_no_power_cut():
        pytest.skip(reason)
    seed = next(seed for seed in range(100) if random.Random(seed).random() < 0.3)
    after = plan("powercut", random.Random(seed), {"write": 1})
    assert after.said == "power cut after the run"
    assert outcomes_of([after], None, tmp_path / "sound", monkeypatch) == {"harmless"}
    assert outcomes_of([after], "no fsync", tmp_path / "broken", monkeypatch) == {"silent"}


def test_a_journal_that_is_believed_without_looking_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when all is written but for the name; then a pixel of what was left behind is changed."""

    def damage(files: Workspace) -> str:
        (partial,) = (path for path in files.left_behind() if path.suffix == ".partial")
        data = bytearray(partial.read_bytes())
        data[len(data) // 20] ^= 1  # inside the image, not in what fills up its block
        partial.write_bytes(data)
        return "a bit flipped"

    late = Plan("", (Injection("rename", "signal=KILL", "1"),), between=damage)
    assert outcomes_of([late], None, tmp_path / "sound", monkeypatch) == {"recovered"}
    assert outcomes_of([late], "believes its journal", tmp_path / "broken", monkeypatch) == {"silent"}


def outcomes_of(
    plans: list[Plan], mutant: str | None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """What comes of these faults in a runtime that is sound or broken."""
    require_tracing()
    work.mkdir()
    with monkeypatch.context() as patched:
        if mutant is not None:
            break_runtime(mutant, work, patched)
        scene = scene_files(SCENE, work / "scenes")
        with Campaign(scene, ["--memory", "160MiB"], work) as campaign:
            outcomes = set()
            for number, chosen in enumerate(plans):
                patched.setattr("bnnpan_sim.faults.campaign.plan", lambda *_, one=chosen: one)
                kind = "powercut" if chosen.after else "kill"
                outcomes.add(campaign.trial(kind, 0, number).outcome)
            return outcomes
