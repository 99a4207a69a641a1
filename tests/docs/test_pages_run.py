"""Pages are run as a reader would: every block in its order, in one folder per way through the pages."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from code_blocks import WAYS, Block, blocks
from raw_scenes import write_raw_scene
from requirements import missing, require_package
from synthetic_data import write_manifest

from bnnpan_runtime.bundle import Bundle

MADE_BY_CI = ("make ", "pip install", "python3 -m venv")
"""Commands that `.ci/run` runs in a fresh clone."""

SLOW = ("from data to a bundle", "emulated boards")

QUICK = """
[model]
channels = 8
blocks = 1
latent = 8

[training]
stage_one = { steps = 4 }
stage_two = { steps = 4 }
stage_three = { steps = 4 }
"""
"""Stands for `configs/quick.toml`, which takes minutes."""


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[pytest.mark.slow] if way in SLOW else []) for way in WAYS]
)
def test_every_block_on_the_way_works(way: str, tmp_path: Path) -> None:
    require_package("cryptography")
    if not entry_points(group="bnnpan.bundle"):
        missing("packages", "needs the ground side's commands (pip install -e '.[export]')")
    (work := tmp_path / "work").mkdir()
    prepare(work)
    if way in ("trust", "updates"):  # the others make theirs
        for name in ("first", "old"):
            (work / f"{name}.bnnpan").write_bytes(Bundle.open("bgrn-x4").path.read_bytes())
    environment = {**os.environ, "PATH": f"{program(tmp_path)}:{os.environ['PATH']}"}
    for page in WAYS[way]:
        found = [block for block in blocks(page, "sh", "python") if block.not_run is None]
        assert found, f"{page} has nothing to run"
        for block in found:
            run(page, block, work, environment)


def prepare(folder: Path) -> None:
    """What a reader has before: a scene, data, and the configurations of the checkout."""
    write_raw_scene(folder)
    data = folder / "DATA"
    subprocess.run(
        [sys.executable, "-m", "bnnpan_runtime", "scene", "synth", "--size", "512", "--out", data], check=True
    )
    write_manifest(data)
    (folder / "configs").mkdir()
    (folder / "configs" / "quick.toml").write_text(QUICK)


def program(folder: Path) -> Path:
    """A folder with a `bnnpan` that is the one under test, and its `python`."""
    (place := folder / "bin").mkdir()
    for name, arguments in (("bnnpan", " -m bnnpan_runtime"), ("python", "")):
        script = place / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{arguments} "$@"\n')
        script.chmod(0o755)
    return place


def run(page: str, block: Block, folder: Path, environment: dict[str, str]) -> None:
    """Run a block, line by line where it is of the shell."""
    if block.language == "python":
        steps = [["python", "-c", block.text]]
    else:
        steps = [["sh", "-c", line] for line in block.lines() if not line.startswith(MADE_BY_CI)]
    for step in steps:
        if step[-1].startswith("bnnpan fuse"):  # a reader's second product
            (folder / "product.tif").unlink(missing_ok=True)
        result = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, f"{page}\n{step[-1]}\n{result.stdout}\n{result.stderr}"
