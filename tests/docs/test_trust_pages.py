"""Every command of the pages on trust and on updates works, in its order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from raw_scenes import write_raw_scene
from requirements import missing, require_package

from bnnpan_runtime.bundle import Bundle


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment whose `bnnpan` is the one under test."""
    require_package("cryptography")
    if not entry_points(group="bnnpan.bundle"):
        missing("packages", "needs `bnnpan bundle sign` (pip install -e '.[export]')")
    (program := tmp_path / "bin" / "bnnpan").parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bnnpan_runtime "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_every_test_that_the_format_names_exists(repo_root: Path):
    page = (repo_root / "docs" / "bundle.md").read_text()
    tests = "".join(path.read_text() for path in (repo_root / "tests" / "runtime").glob("test_*.py"))
    names = re.findall(r"`(test_[a-z0-9_]+)`", page)
    assert len(names) > 25 and not [name for name in names if f"def {name}(" not in tests]


@pytest.mark.parametrize("page", ["trust.md", "uplink.md"])
def test_every_command_of_the_page_works(page: str, repo_root: Path, tmp_path: Path, shell: dict[str, str]):
    (work := tmp_path / "work").mkdir()
    for name in ("first", "old"):
        (work / f"{name}.bnnpan").write_bytes(Bundle.open("bgrn-x4").path.read_bytes())
    write_raw_scene(work)
    blocks = re.findall(r"```sh\n(.*?)```", (repo_root / "docs" / page).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) > 3
    for line in lines:
        if line.startswith("bnnpan export"):  # tests/export proves it; a bundle is there already
            continue
        result = subprocess.run(["sh", "-c", line], cwd=work, env=shell, capture_output=True, text=True)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
