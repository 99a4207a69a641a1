"""Level 3 without emulation: what goes in and out of the board; tests/wheels/test_level3.py boots it."""

from __future__ import annotations

import json
import runpy
import sys
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner
from requirements import missing

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.aarch64.debian import Unavailable, find
from bnnpan_sim.board import load_board
from bnnpan_sim.cli import command as sim
from bnnpan_sim.job import Job
from bnnpan_sim.limits import Throttle
from bnnpan_sim.whole_board.cargo import load_disk, unload_disk
from bnnpan_sim.whole_board.disks import make_disk
from bnnpan_sim.whole_board.initramfs import initramfs
from bnnpan_sim.whole_board.level3 import load, setup
from bnnpan_sim.whole_board.machine import Disks, boot, command

BOARD = load_board("pi-zero-2w")


@pytest.fixture
def e2fsprogs() -> None:
    try:
        find("mke2fs"), find("debugfs")
    except Unavailable as error:
        missing("tools", str(error))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job that names a scene of two files, and wants a product and its events."""
    (tmp_path / "scene").mkdir()
    for name in ("pan.tif", "pan.tfw", "ms.tif"):
        (tmp_path / "scene" / name).write_text(name)
    product, events = tmp_path / "product.tif", tmp_path / "events.jsonl"
    words = ["fuse", "--pan", tmp_path / "scene" / "pan.tif", "--bundle", "bgrn-x4", "--out", product]
    return Job([*map(str, words)], BOARD, 128 * 2**20, outputs=(product, events), disk_bytes=2**20)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "module.py").write_text("")
    return tmp_path / "ours"


@pytest.mark.usefixtures("e2fsprogs")
def test_a_disk_carries_the_scene_in_and_what_was_made_out(job: Job, ours: Path, tmp_path: Path) -> None:
    contents, disk = tmp_path / "contents", tmp_path / "disk"
    load_disk(disk, contents, job, ours)
    told = json.loads((contents / "job.json").read_text())
    pan, bundle, out = (told["arguments"][index] for index in (2, 4, 6))
    assert (contents / Path(pan).relative_to("/data")).read_text() == "pan.tif"
    assert {file.name for file in (contents / "in" / "2").iterdir()} == {"pan.tif", "pan.tfw"}
    assert (bundle, out) == ("bgrn-x4", "/data/out/product.tif")
    # As if the board had worked.
    for name in ("product.tif", "product.tif.aux.xml", "events.jsonl", ".product.tif.part", "stdout"):
        (contents / "out" / name).write_text(name)
    (contents / "result.json").write_text('{"exit_code": 0}')
    disk.unlink()
    make_disk(disk, contents, 2**20)
    assert unload_disk(disk, tmp_path / "left", job) == {"exit_code": 0}
    home = {path.name for path in tmp_path.iterdir() if path.is_file()} - {"disk"}
    assert home == {"product.tif", "product.tif.aux.xml", "events.jsonl"}


@pytest.mark.usefixtures("e2fsprogs")
def test_a_board_that_wrote_nothing_down_leaves_no_account(job: Job, ours: Path, tmp_path: Path) -> None:
    load_disk(tmp_path / "disk", tmp_path / "contents", job, ours)
    assert unload_disk(tmp_path / "disk", tmp_path / "left", job) is None
    assert not (tmp_path / "product.tif").exists()


def test_the_computer_is_the_boards() -> None:
    disks = Disks(Path("system"), Path("a,b"))
    slow = Throttle(None, 22 * 10**6, 10 * 10**6)
    words = command("qemu", BOARD, Path("vmlinuz"), Path("initramfs"), disks, slow)
    line = " ".join(words)
    assert "-cpu cortex-a53 -smp 4 -m 512M" in line
    assert "file=a,,b" in line and "throttling.bps-read=22000000" in line
    assert "id=system,file=system,readonly=on" in line


def test_what_the_board_says_is_told_and_its_last_words_are_kept() -> None:
    heard = []
    script = "echo noise; echo @booted 2.5; echo @started 1000; printf 'Kernel panic\\r\\nend'"
    ending = boot(["sh", "-c", script], 60, lambda word, rest: heard.append((word, rest)))
    assert heard == [("booted", "2.5"), ("started", "1000")]
    assert (ending.started, ending.timed_out, ending.console) == (True, False, "noise; Kernel panic")


def test_a_job_that_takes_too_long_is_ended() -> None:
    ending = boot(["sh", "-c", "echo @started 1; exec sleep 60"], 0.2)
    assert ending.started and ending.timed_out


def test_the_first_file_system_is_what_the_kernel_reads() -> None:
    # Every entry begins with the same word at a multiple of four bytes, and the last is named so.
    archive = initramfs(["proc"], {"bin/tool": b"abc"}, {"bin/sh": "tool"}, b"#!/bin/sh\n")
    assert len(archive) % 4 == 0 and archive.startswith(b"070701")
    found = [at for at in range(0, len(archive), 4) if archive[at : at + 6] == b"070701"]
    names = [archive[at + 110 :].partition(b"\0")[0].decode() for at in found]
    assert names == ["proc", "dev/console", "bin/tool", "bin/sh", "init", "TRAILER!!!"]


def test_the_boards_own_part_needs_nothing_but_its_python() -> None:
    source = resources.files("bnnpan_sim.whole_board") / "guest" / "job.py"
    names = runpy.run_path(str(source), run_name="job")
    assert names["field"](Path("/proc/meminfo"), "MemTotal:") > 2**20
    assert names["field"](Path("/proc/meminfo"), "NoSuch:") == 0
    imported = {line.split()[1] for line in source.read_text().splitlines() if line.startswith("import ")}
    assert imported <= sys.stdlib_module_names


def test_a_level_that_was_not_prepared_is_refused_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BNNPAN_AARCH64", str(tmp_path))
    with pytest.raises(ConfigError, match=r"level 3 is not prepared.*bnnpan sim setup --level 3"):
        load()
    result = CliRunner().invoke(sim, ["run", "pi-zero-2w-128mib", "--level", "3"])
    assert getattr(result.exception, "exit_code", None) == 9


def test_a_missing_emulator_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(Unavailable, match=r"qemu-system-aarch64.*apt-get install qemu-system-arm"):
        setup(None, None)
