"""`bnnpan sim` at level 2: a board's own instructions give the native product, byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from requirements import missing

from bnnpan_sim.aarch64 import level2
from bnnpan_sim.aarch64.environment import Unavailable
from bnnpan_sim.board import load_board
from bnnpan_sim.run import run_scenario
from bnnpan_sim.scenario import Scenario
from bnnpan_sim.scenes import SynthScene

pytestmark = pytest.mark.slow


def test_a_scenario_at_level_2_makes_the_native_product(
    aarch64_wheel: Path, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(level2, "_RECORD", "level2-of-the-tests.json")
    project = tomllib.loads((repo_root / "runtime" / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["tflite"]  # as test_aarch64 has it, so that one environment does
    try:
        prepared, steps = level2.setup(aarch64_wheel, repo_root / "constraints.txt", extra)
    except Unavailable as error:
        missing("tools", f"no aarch64 environment: {error}")
    assert [step.name for step in steps] == ["our wheel", "environment"]
    assert prepared.wheel == aarch64_wheel.name
    scenario = Scenario(
        name="level 2",
        board=load_board("pi-zero-2w"),
        budget_bytes=128 * 2**20,
        scene=SynthScene(128, seed=1),
        backend="native",
        level=2,
        arguments=("--tile", "64"),
    )
    report = run_scenario(scenario, tmp_path)
    assert report.passed, report.failures
    assert (report.level, report.enforced_by, report.peak_bytes) == (2, "nothing", None)
    assert any("-cpu cortex-a53" in note for note in report.notes)
