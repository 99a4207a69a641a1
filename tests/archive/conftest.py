"""Scenes to make archives of, and one archive that all tests may look at."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from raw_scenes import write_raw_scene
from requirements import require_package

for package in ("pystac", "distributed"):
    require_package(package)

from bnnpan_archive.cli import command  # noqa: E402

MEMORY = "256MiB"


@dataclass(frozen=True)
class Outcome:
    """What `bnnpan archive` printed, as JSON, and its exit code."""

    exit_code: int
    value: dict[str, Any]
    message: str

    def results(self) -> dict[str, dict[str, Any]]:
        return {result["scene"]: result for result in self.value["results"]}


def archive(*words: str | Path) -> Outcome:
    """`bnnpan archive ... --json`, in this process; its runs of `fuse` are processes of their own."""
    split = words.index("--") if "--" in words else len(words)
    line = [*map(str, words[:split]), "--json", *map(str, words[split:])]
    result = CliRunner().invoke(command, line)
    code = (
        getattr(result.exception, "exit_code", getattr(result.exception, "code", 1))
        if result.exception
        else 0
    )
    if code == 1:
        raise AssertionError(result.output) from result.exception
    text = result.stdout[result.stdout.find("{") :]
    return Outcome(code, json.loads(text) if text.startswith("{") else {}, str(result.exception or ""))


def run(catalog: Path, out: Path, *words: str | Path) -> Outcome:
    """`bnnpan archive run` with the budget of these tests."""
    return archive("run", catalog, "--out", out, "--memory", MEMORY, *words)


def write_scenes(folder: Path, count: int) -> Path:
    """A folder of small scenes, all different."""
    for number in range(count):
        place = folder / f"s{number}"
        place.mkdir(parents=True)
        write_raw_scene(place, 88 + 8 * (number % 8), 80 + 8 * (number // 8), nodata=0)
    return folder


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound scenes, and one whose PAN is cut off."""
    folder = write_scenes(tmp_path_factory.mktemp("scenes"), 3)
    damaged = folder / "s2" / "pan.tif"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    return folder


@dataclass(frozen=True)
class Made:
    """An archive, and what was said when it was made."""

    folder: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def made(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The archive of `scenes`, which nobody changes."""
    folder = tmp_path_factory.mktemp("archive")
    return Made(folder, run(scenes, folder, "--workers", "2"))


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """A copy of the archive, to be changed."""
    return Path(shutil.copytree(made.folder, tmp_path / "copied"))
