"""What we promise our mission: a scene fits, a promise is kept by force, and a broken one is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BNNPAN = (sys.executable, "-m", "bnnpan_runtime")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put one of your own scenes here; a synthetic one does to begin with."""
    folder = tmp_path_factory.mktemp("scene") / "synth"
    command = [
        sys.executable,
        "-m",
        "bnnpan_runtime",
        "scene",
        "synth",
        "--size",
        "256",
        "--out",
        str(folder),
    ]
    subprocess.run(command, check=True)
    return folder


def fuse(scene: Path, product: Path, memory: str) -> list[str]:
    files = ["--pan", str(scene / "pan.tif"), "--ms", str(scene / "ms.tif"), "--out", str(product)]
    return ["bnnpan", "fuse", *files, "--memory", memory]


@pytest.mark.board("our-board", memory="128MiB")
def test_a_scene_fits(board, scene, tmp_path):
    run = board.run(fuse(scene, tmp_path / "product.tif", "128MiB"))
    run.assert_succeeded()
    run.assert_peak_within("128MiB")


@pytest.mark.board("our-board")
def test_too_small_a_budget_is_refused_before_anything_is_written(board, scene, tmp_path):
    run = board.run(fuse(scene, tmp_path / "product.tif", "32MiB"))
    run.assert_exit_code(5)
    assert not list(tmp_path.iterdir())


@pytest.mark.board("our-board", memory="24MiB")
def test_the_limit_is_real(board, scene, tmp_path):
    run = board.run(fuse(scene, tmp_path / "product.tif", "250MiB"))
    run.assert_killed()


@pytest.mark.board("our-board", level=2)
def test_the_boards_own_instructions_give_the_same_product(board, scene, tmp_path):
    command = fuse(scene, tmp_path / "here.tif", "512MiB")
    subprocess.run([*BNNPAN, *command[1:]], check=True)
    run = board.run(fuse(scene, tmp_path / "board.tif", "2GiB"))
    run.assert_succeeded()
    run.assert_same_file(tmp_path / "board.tif", tmp_path / "here.tif")
