"""Readers of the runtime under hostile bytes: their own error or none, in little time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.readers import TARGETS
from requirements import require_package

FUZZER = Path(__file__).with_name("fuzz_readers.py")


def fuzz(name: str, folder: Path, *options: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(FUZZER), name, *options]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-4000:]
    assert "Done" in result.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_what_the_reader_takes(name: str, tmp_path: Path) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds and all(TARGETS[name].run(seed, tmp_path) for seed in seeds)
    assert not TARGETS[name].run(b"rubbish", tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_a_bounded_time_of_fuzzing_finds_nothing(name: str, tmp_path: Path) -> None:
    """`BNNPAN_FUZZ_SECONDS` fuzzes longer."""
    require_package("atheris")
    seconds = os.environ.get("BNNPAN_FUZZ_SECONDS", "6")
    fuzz(name, tmp_path, "-seed=1", f"-max_total_time={seconds}")
