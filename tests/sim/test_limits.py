"""Each means of enforcement, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_sim.limits import Limiter, choose_limiter, limiters, run_limited

MIB = 2**20
Hog = Callable[[int], list[str]]


def test_a_process_over_the_limit_is_killed(limiter: Limiter, hog: Hog) -> None:
    outcome = run_limited(hog(400), 64 * MIB, limiter)
    assert outcome.killed
    assert outcome.exit_code == 137
    assert outcome.stdout == ""
    assert outcome.enforced_by == limiter.name


def test_a_process_below_the_limit_is_not_killed(limiter: Limiter, hog: Hog) -> None:
    outcome = run_limited(hog(40), 96 * MIB, limiter)
    assert not outcome.killed
    assert outcome.exit_code == 0
    assert outcome.stdout == "held 40 MiB\n"
    assert 40 * MIB < outcome.peak_bytes < 96 * MIB
    assert 40 * MIB < outcome.charged_peak_bytes <= 96 * MIB
    assert 0 < outcome.cpu_seconds < outcome.seconds + 1


def test_one_limit_holds_for_the_whole_process_tree(limiter: Limiter, hog: Hog) -> None:
    parent = "import subprocess, sys; held = bytearray(b'x') * 80 * 2**20; subprocess.run(sys.argv[1:])"
    outcome = run_limited([sys.executable, "-S", "-c", parent, *hog(80)], 120 * MIB, limiter)
    assert outcome.killed


def test_the_parents_own_size_is_not_counted(limiter: Limiter) -> None:
    ballast = bytearray(b"x") * (128 * MIB)
    outcome = run_limited(["sh", "-c", "sleep 0.05"], 64 * MIB, limiter)
    del ballast
    assert not outcome.killed
    assert outcome.peak_bytes < 32 * MIB


def test_nothing_of_the_command_outlives_it(limiter: Limiter, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    outcome = run_limited(["sh", "-c", f"sleep 60 & echo $! > {note}"], 64 * MIB, limiter)
    assert outcome.exit_code == 0
    assert _is_gone(int(note.read_text()))


def test_a_command_that_takes_too_long_is_ended(limiter: Limiter) -> None:
    outcome = run_limited(["sleep", "60"], 64 * MIB, limiter, timeout_seconds=0.2)
    assert outcome.timed_out
    assert not outcome.killed
    assert outcome.exit_code == 137
    assert outcome.seconds < 10


def test_exit_code_and_messages_are_passed_on(limiter: Limiter) -> None:
    outcome = run_limited(["sh", "-c", "echo out; echo err >&2; exit 5"], 64 * MIB, limiter)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (5, "out\n", "err\n")


def test_a_board_with_one_core_lends_one_core(limiter: Limiter) -> None:
    command = [sys.executable, "-c", "import time, os; time.sleep(0.2); print(len(os.sched_getaffinity(0)))"]
    assert run_limited(command, 64 * MIB, limiter, cores=1).stdout == "1\n"


def test_page_cache_is_counted_but_never_kills(limiter: Limiter, tmp_path: Path) -> None:
    if limiter.name == "watchdog":
        pytest.skip("watchdog: page cache is not counted without a memory cgroup")
    if subprocess.run(["stat", "-fc", "%T", tmp_path], capture_output=True).stdout.strip() == b"tmpfs":
        pytest.skip(f"{tmp_path} is in memory, not page cache: give pytest a --basetemp on a disk")
    command = ["dd", "if=/dev/zero", f"of={tmp_path / 'large'}", "bs=1M", "count=200", "status=none"]
    outcome = run_limited(command, 64 * MIB, limiter)
    assert (outcome.exit_code, outcome.killed) == (0, False)
    assert 48 * MIB < outcome.charged_peak_bytes <= 64 * MIB
    assert outcome.peak_bytes < 32 * MIB


def test_no_group_is_left_behind(limiter: Limiter) -> None:
    if limiter.name == "watchdog":
        pytest.skip("watchdog: it makes no group")
    with limiter.fence(64 * MIB) as fence:
        group = Path(fence.enter([])[-2]).parent
        assert group.is_dir()
    assert not group.exists()


def test_there_is_always_a_means_of_enforcement() -> None:
    assert choose_limiter().why_not() is None
    assert limiters()[-1].name == "watchdog"


def _is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # ended, and not yet noticed by the process that adopted it
            return True
        time.sleep(0.02)
    return False
