"""The matrix: every cell is reported, none is run twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.cli import command
from bnnpan_sim.matrix import Cell, CellResult, _Room, cells

ARGUMENTS = ("--on", "pi-zero-2w", "--sizes", "128", "--budgets", "32MiB,160MiB,1GiB", "--jobs", "2")


def test_cells_are_all_combinations_with_names_of_their_own() -> None:
    wanted = list(cells(["a", "b"], ["x", "y.bnnpan", "z/y.bnnpan"], [1, 2], ["64MiB", "board"]))
    assert len(wanted) == len({cell.file_name for cell in wanted}) == 24


def test_every_cell_is_reported_honestly_and_kept(tmp_path: Path) -> None:
    results = tmp_path / "results"
    arguments = ["matrix", str(results), *ARGUMENTS, "--work", str(tmp_path / "work")]
    first = CliRunner().invoke(command, arguments)
    assert first.exit_code == 0, first.output
    assert "3 cells" in first.output and "1 made, 1 no room, 1 refused" in first.output
    found = {}
    for path in results.glob("*.json"):
        result = CellResult.from_json(json.loads(path.read_text()), str(path))
        found[result.cell.budget] = result
    assert "the smallest that works is" in found["32MiB"].detail
    assert found["1GiB"].detail == "pi-zero-2w leaves 352MiB to an application"
    made = found["160MiB"].report
    assert made is not None and made.peak_bytes is not None
    assert made.peak_bytes <= made.limit_bytes == 160 * 2**20
    times = {path: path.stat().st_mtime_ns for path in results.iterdir()}
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in results.iterdir()} == times


def test_a_failed_cell_fails_the_command(tmp_path: Path) -> None:
    cell = Cell("pi-zero-2w", "bgrn-x4", 128, "160MiB")
    tmp_path.joinpath(cell.file_name).write_text(
        json.dumps(CellResult(cell, "failed", "exit code 1", None).to_json())
    )
    arguments = ["--on", "pi-zero-2w", "--sizes", "128", "--budgets", "160MiB"]
    result = CliRunner().invoke(command, ["matrix", str(tmp_path), *arguments])
    assert getattr(result.exception, "exit_code", None) == 8


def test_a_result_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x\.json: not a result"):
        CellResult.from_json({"cell": {"board": "b"}}, "x.json")


def test_memory_is_lent_once() -> None:
    room = _Room(100)
    with room.taken(60), room.taken(40):
        pass
    with room.taken(1000):  # more than there is runs alone
        pass
