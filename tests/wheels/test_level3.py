"""`bnnpan sim` at level 3: a whole board boots and makes the native product within its memory.

`make board` runs it: minutes, and the first time some more to fetch Debian's kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from requirements import missing

from bnnpan_runtime.memory import MIB
from bnnpan_sim.aarch64 import level2
from bnnpan_sim.aarch64.debian import Unavailable, find
from bnnpan_sim.board import load_board
from bnnpan_sim.run import run_scenario
from bnnpan_sim.scenario import Scenario
from bnnpan_sim.scenes import SynthScene
from bnnpan_sim.whole_board import level3

pytestmark = pytest.mark.exhaustive

SCENARIO = Scenario(
    name="level 3",
    board=load_board("pi-zero-2w"),
    budget_bytes=128 * MIB,
    memory_limit_bytes=160 * MIB,
    scene=SynthScene(128, seed=1),
    backend="native",
    level=3,
    arguments=("--tile", "64"),
    timeout_seconds=1800,
)


@pytest.fixture(scope="session")
def emulator() -> None:
    """Looked for before anything is built."""
    try:
        find("qemu-system-aarch64")
    except Unavailable as error:
        missing("tools", str(error))


@pytest.fixture(scope="module", autouse=True)
def prepared(emulator: None, aarch64_wheel: Path, repo_root: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(level2, "_RECORD", "level2-of-the-tests.json")
        try:
            _, steps = level3.setup(aarch64_wheel, repo_root / "constraints.txt")
        except Unavailable as error:
            missing("tools", f"no emulated board: {error}")
        assert [step.name for step in steps] == ["our wheel", "environment", "kernel", "disk"]
        yield


def test_a_whole_board_makes_the_native_product_within_its_memory(tmp_path: Path) -> None:
    report = run_scenario(SCENARIO, tmp_path, out=tmp_path / "product.tif")
    assert report.passed, report.failures
    assert (report.level, report.enforced_by) == (3, "the board's own kernel")
    assert report.peak_bytes is not None and report.peak_bytes <= SCENARIO.budget_bytes
    names = [event.name for event in report.events]
    expected = ["scene ready", "booted", "started", "tiles_done", "product_committed", "finished"]
    assert [name for name in names if name in expected] == expected
    assert (tmp_path / "product.tif").is_file()
    assert any(note.startswith("Linux ") for note in report.notes)
