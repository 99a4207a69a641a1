"""PROJ's database on a failing disk: the product carries the right coordinate system, or there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults.fused_scenes import FuseCommand, environment
from rasterio.env import PROJDataFinder
from requirements import program
from tracing import require_tracing

SCENE_ERROR, OUTPUT_ERROR = 3, 6
COMPLAINT = "PROJ cannot read its database"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> FuseCommand:
    return FuseCommand.of_new_scene(tmp_path_factory.mktemp("scene"))


def tracing(log: Path, *options: str) -> tuple[str, ...]:
    """strace on reads of the database."""
    database = Path(PROJDataFinder().search()) / "proj.db"
    words = ("-f", "-qq", "--seccomp-bpf", "-o", str(log), "-P", str(database), "-e", "trace=pread64")
    return (program("strace"), *words, *options)


def test_every_product_of_a_run_that_cannot_read_it_on_is_right(command: FuseCommand, tmp_path: Path):
    require_tracing()
    log, out = tmp_path / "calls", tmp_path / "out.tif"
    assert command.run(out, prefix=tracing(log)).returncode == 0
    product, reads = out.read_bytes(), log.read_text().count("pread64")
    refused = []
    for first in (1, reads // 2, reads - 1, reads):
        out.unlink(missing_ok=True)
        failing = ("-e", f"inject=pread64:error=EIO:when={first}+")
        result = command.run(out, prefix=tracing(log, *failing))
        if result.returncode == 0:
            assert out.read_bytes() == product
        else:
            assert result.returncode in (SCENE_ERROR, OUTPUT_ERROR) and COMPLAINT in result.stderr
            assert not out.exists()
            refused.append(result.returncode)
    assert set(refused) == {SCENE_ERROR, OUTPUT_ERROR}


def test_a_database_that_is_not_there_is_said(
    command: FuseCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PROJ_DATA", str(tmp_path))
    assert environment()["PROJ_DATA"] == os.fspath(tmp_path)
    result = command.run(tmp_path / "out.tif")
    assert result.returncode == SCENE_ERROR
    assert COMPLAINT in result.stderr and "PROJ_DATA" in result.stderr
