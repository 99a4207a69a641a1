from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from click.testing import CliRunner, Result

from bnnpan_sim.cli import command
from bnnpan_sim.processes import descendants

_T = TypeVar("_T")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_simulation_that_is_ended_takes_its_run_and_its_group_along(tmp_path: Path) -> None:
    """A scene that never comes: the run waits on a pipe until it is killed."""
    os.mkfifo(tmp_path / "pan.tif")
    arguments = ["--board", "pi-zero-2w", "--memory", "256MiB", "--pan", str(tmp_path / "pan.tif")]
    arguments += ["--ms", str(tmp_path / "pan.tif"), "--work", str(tmp_path)]
    program = "from bnnpan_runtime.cli.failure import cleaning_up_when_ended\n"
    program += "from bnnpan_sim.cli import command\nwith cleaning_up_when_ended():\n    command()"
    simulation = subprocess.Popen([sys.executable, "-c", program, "run", *arguments], preexec_fn=heed_sigterm)
    run = _wait_for(lambda: [pid for pid in descendants(simulation.pid) if _is_fuse(pid)])[0]
    simulation.send_signal(signal.SIGTERM)
    assert simulation.wait(timeout=30) == 143
    _wait_for(lambda: not _is_fuse(run))
    assert not list(tmp_path.glob("run-*"))


def heed_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_fuse(pid: int) -> bool:
    try:
        return b"bnnpan_runtime\0fuse" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _wait_for(found: Callable[[], _T]) -> _T:
    deadline = time.monotonic() + 30
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return result


def test_boards_lists_what_an_application_gets() -> None:
    lines = _run("boards").output.splitlines()
    assert lines[1].split()[:3] == ["pi-zero-2w", "512MiB", "352MiB"]
    assert len(lines) == 13


def test_boards_in_json_come_with_their_sources() -> None:
    boards = json.loads(_run("boards", "--json").output)
    assert boards[0]["application_bytes"] == 352 * 2**20
    assert "product brief" in boards[0]["sources"]["ram_mib"]


def test_a_run_without_scenario_says_what_it_needs() -> None:
    result = _run("run", "--board", "pi-zero-2w", "--memory", "128MiB")
    assert result.exit_code == 2
    assert "give --pan, --ms, or a SCENARIO" in result.output


def test_pan_and_ms_replace_a_scene_together() -> None:
    result = _run("run", "pi-zero-2w-128mib", "--pan", "pan.tif")
    assert result.exit_code == 2
    assert "--pan and --ms go together" in result.output


def test_decimal_sizes_are_refused() -> None:
    result = _run("run", "pi-zero-2w-128mib", "--memory", "128MB")
    assert result.exit_code == 2
    assert "128MiB" in result.output


def test_a_run_whose_scene_is_missing_fails_and_says_why(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.tif")
    arguments = ("--board", "pi-zero-2w", "--memory", "256MiB", "--pan", absent, "--ms", absent)
    result = _run("run", *arguments, "--work", str(tmp_path / "work"), "--json")
    report = json.loads(result.output)
    assert not report["passed"]
    assert report["exit_code"] == 3
    assert absent in report["message"]
    assert "there is no product" in report["failures"]
    assert result.exception is not None
    assert getattr(result.exception, "exit_code", None) == 8
