"""Fixtures of the emulated boards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_sim.limits import Limiter, limiters

_HOG = """
import sys, time
held = []
for _ in range(int(sys.argv[1])):
    held.append(bytearray(b"x") * 2**20)
time.sleep(0.05)
print(f"held {len(held)} MiB")
"""


@pytest.fixture(params=limiters(), ids=lambda limiter: limiter.name.replace(" ", "-"))
def limiter(request: pytest.FixtureRequest) -> Limiter:
    """Every means of enforcement; those that cannot be used here are skipped with the reason."""
    reason = request.param.why_not()
    if reason is not None:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="session")
def hog() -> Callable[[int], list[str]]:
    """Command of a process that allocates that many MiB, 1 MiB at a time, and reports what it holds."""
    return lambda mebibytes: [sys.executable, "-S", "-c", _HOG, str(mebibytes)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a text file into the test's folder."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file
