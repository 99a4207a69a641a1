"""Archives on this computer: what is made, what is left out the next time, and what a kill costs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from raw_scenes import write_raw_scene

from bnnpan_archive.job import Order
from bnnpan_archive.result import Result
from bnnpan_runtime.claim import claimed
from bnnpan_runtime.errors import exit_codes
from bnnpan_sim.processes import descendants, state

from .conftest import MEMORY, Made, archive, run

ENDING = """
import os, signal, sys
from bnnpan_runtime.cli import main
from bnnpan_runtime.product import mosaic
from bnnpan_runtime.product.journal import Journal

mosaic.CHECKPOINT_SECONDS = 0.0
append = Journal.append

def append_and_end(journal, records):
    append(journal, records)
    os.kill(os.getpid(), signal.SIGKILL)

Journal.append = append_and_end
main()
"""
"""`bnnpan`, which is killed as soon as a block of its product is recorded."""

PROGRAM = "from bnnpan_archive.cli import command; command()"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    """Until it is so; hardly ever for long."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


class TestWhole:
    def test_a_damaged_scene_is_listed_and_the_others_are_done(self, made: Made):
        assert made.outcome.exit_code == 8 and 8 in exit_codes()
        counts = {key: made.outcome.value[key] for key in ("scenes", "made", "skipped", "failed", "waiting")}
        assert counts == {"scenes": 3, "made": 2, "skipped": 0, "failed": 1, "waiting": 0}
        failed = made.outcome.results()["s2"]
        assert (failed["exit_code"], failed["product"]) == (3, None)
        assert "damaged or truncated" in failed["message"]

    def test_the_command_of_a_failure_repeats_it(self, made: Made):
        failed = made.outcome.results()["s2"]
        line = failed["command"].replace("&& bnnpan ", f"&& {sys.executable} -m bnnpan_runtime ", 1)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
        assert done.returncode == failed["exit_code"] and failed["message"] in done.stderr

    def test_a_record_tells_what_was_made_of_what(self, made: Made):
        record = json.loads((made.folder / "s0" / "result.json").read_text())
        assert record["product_sha256"] == sha256(made.folder / record["product"])
        assert record["fuse"]["budget_bytes"] >= record["fuse"]["measured_peak_bytes"] > 0
        assert (
            0 < record["peak_mib"] < 256 and record["seconds"] > 0 and len(record["identity"]["inputs"]) == 2
        )
        assert record["identity"]["bundle_sha256"] and set(record["scores"]) == {"HQNR", "D_lambda", "D_s"}

    def test_nothing_is_left_over(self, made: Made):
        assert not [path for path in made.folder.rglob(".*")]

    def test_a_budget_that_cannot_be_kept_fails_its_scene_alone(self, scenes: Path, tmp_path: Path):
        table = tmp_path / "pairs.csv"
        rows = [f"{name},{scenes / name}/pan.tif,{scenes / name}/ms.tif" for name in ("s0", "s1")]
        table.write_text(f"name,pan,ms,memory\n{rows[0]},16MiB\n{rows[1]},\n")
        outcome = run(table, tmp_path / "out", "--no-quality")
        assert {name: one["exit_code"] for name, one in outcome.results().items()} == {"s0": 5, "s1": 0}


class TestAgain:
    def test_what_is_there_is_left_out_and_what_failed_is_tried_again(self, scenes: Path, copied: Path):
        before = {path: path.stat().st_mtime_ns for path in copied.rglob("*.tif")}
        outcome = run(scenes, copied)
        assert (outcome.value["skipped"], outcome.value["made"], outcome.value["failed"]) == (2, 0, 1)
        assert {path: path.stat().st_mtime_ns for path in copied.rglob("*.tif")} == before

    def test_a_damaged_product_is_made_again(self, scenes: Path, copied: Path):
        product = copied / "s0" / "s0.tif"
        whole = sha256(product)
        with product.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        outcome = run(scenes, copied)
        assert (outcome.value["skipped"], outcome.value["made"]) == (1, 1)
        assert sha256(product) == whole

    @pytest.mark.parametrize("record", ["", "[]", '{"scene": "s0"}', '{"identity": 7, "command": 3}'])
    def test_a_damaged_record_is_none_or_does_not_match(self, copied: Path, record: str):
        (copied / "s0" / "result.json").write_text(record)
        found = Result.read(Order.read(copied).jobs()[0])
        assert found is None or found.failed

    def test_a_changed_input_or_option_makes_a_new_product(self, made: Made, copied: Path, tmp_path: Path):
        inputs = tmp_path / "scenes"
        for name in ("s0", "s1"):
            write_raw_scene(Path(shutil.copytree(copied / name, inputs / name)), 96, 80, nodata=0)
            (inputs / name / f"{name}.tif").unlink()
        first = run(inputs, copied, "--no-quality")
        assert (first.exit_code, first.value["made"]) == (0, 2)
        assert first.results()["s0"]["product_sha256"] != made.outcome.results()["s0"]["product_sha256"]
        assert run(inputs, copied, "--no-quality", "--threads", "2").value["skipped"] == 2
        assert run(inputs, copied, "--no-quality", "--", "--window", "0,0,80,80").value["made"] == 2

    def test_a_second_run_for_the_same_folder_is_refused(self, scenes: Path, copied: Path):
        with claimed(copied, copied / ".archive.lock"):
            assert run(scenes, copied).exit_code == 6


@pytest.fixture
def one_scene(tmp_path: Path) -> Path:
    """A scene of six blocks."""
    folder = tmp_path / "scenes" / "s"
    folder.mkdir(parents=True)
    write_raw_scene(folder, 520, 300, nodata=0)
    return folder.parent


@pytest.fixture
def undisturbed(one_scene: Path, tmp_path: Path) -> str:
    return str(run(one_scene, tmp_path / "undisturbed", "--no-quality").results()["s"]["product_sha256"])


class TestKilled:
    def test_an_interrupted_scene_goes_on_from_its_journal(
        self, one_scene: Path, tmp_path: Path, undisturbed: str
    ):
        product = tmp_path / "out" / "s" / "s.tif"
        product.parent.mkdir(parents=True)
        scene = one_scene / "s"
        words = ["--pan", scene / "pan.tif", "--ms", scene / "ms.tif", "--out", product, "--memory", MEMORY]
        killed = subprocess.run([sys.executable, "-c", ENDING, "fuse", *words, "--tile", "256"])
        assert killed.returncode == -signal.SIGKILL and not product.exists()
        result = run(one_scene, tmp_path / "out", "--no-quality", "--", "--tile", "256").results()["s"]
        assert result["resumed_tiles"] > 0 and result["product_sha256"] == undisturbed

    def test_a_killed_run_is_started_again(self, one_scene: Path, tmp_path: Path, undisturbed: str):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", one_scene, "--out", tmp_path / "out", "--memory", MEMORY,
             "--no-quality"]
        )  # fmt: skip
        os.kill(fusing(process.pid), signal.SIGKILL)
        assert process.wait(120) == 0
        record = json.loads((tmp_path / "out" / "s" / "result.json").read_text())
        assert (record["attempts"], record["product_sha256"]) == (2, undisturbed)

    def test_a_killed_archive_leaves_no_run_behind_and_goes_on(
        self, one_scene: Path, tmp_path: Path, undisturbed: str
    ):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", one_scene, "--out", tmp_path / "out", "--memory", MEMORY]
        )
        child = fusing(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: state(child) in ("", "Z"), seconds=30)
        assert not (tmp_path / "out" / "s" / "s.tif").exists()  # it did not go on to its end
        result = run(one_scene, tmp_path / "out", "--no-quality").results()["s"]
        assert result["product_sha256"] == undisturbed


def fusing(pid: int) -> int:
    """The run of `fuse` that a process has started, as soon as it is that."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [child for child in descendants(pid) if b"fuse" in program_words(child)]
        return bool(found)

    wait_for(look)
    return found[0]


def program_words(pid: int) -> list[bytes]:
    """The command line of `bnnpan`; none before the process has become that."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
    return words if words[1:4] == [b"-P", b"-m", b"bnnpan_runtime"] else []


class TestRefused:
    """Before anything is begun."""

    @pytest.mark.parametrize(
        ("words", "exit_code"),
        [
            (("--scheduler", "magic"), 9),
            (("--bundle", "none.bnnpan"), 4),
            (("--", "--tile", "17"), 2),
            (("--", "--out", "x.tif"), 2),
        ],
    )
    def test_wrong_options(self, scenes: Path, tmp_path: Path, words: tuple[str, ...], exit_code: int):
        assert run(scenes, tmp_path / "out", *words).exit_code == exit_code
        assert not (tmp_path / "out").exists()

    def test_a_folder_without_an_order(self, tmp_path: Path):
        assert archive("report", tmp_path).exit_code == 9
        assert archive("job", tmp_path, "0").exit_code == 9
