"""`bnnpan fuse`, interrupted for real: by the kernel, by signals, and by inputs that change meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import rasterio
from faults.fused_scenes import FuseCommand
from faults.small_products import hidden_files
from requirements import program

CHANGING = "write,pwrite64,fsync,fdatasync,rename,unlink,ftruncate,openat"
"""System calls by which a run changes its files."""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> FuseCommand:
    return FuseCommand.of_new_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def fused(command: FuseCommand, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The product of an undisturbed run."""
    path = tmp_path_factory.mktemp("undisturbed") / "product.tif"
    assert command.finish(path)["resumed_tiles"] == 0
    return path.read_bytes()


def tracing(out: Path, *injections: str) -> tuple[str, ...]:
    """strace on everything that has to do with the files of a product."""
    paths = [
        word for kind in ("partial", "journal") for word in ("-P", str(out.with_name(f".out.tif.{kind}")))
    ]
    options = ["-f", "-qq", "-o", str(out.with_name("trace")), "-P", str(out), "-P", str(out.parent), *paths]
    words = [word for text in injections for word in ("-e", f"inject={text}")]
    return (program("strace"), *options, "-e", f"trace={CHANGING}", *words)


def kill_at(call: str, which: int) -> str:
    return f"{call}:signal=SIGKILL:when={which}"


# With GDAL's layout, 64 kB pieces at most, and a header and six blocks of ours.
FAST = [("write", 6), ("pwrite64", 5), ("fdatasync", 6), ("fsync", 2), ("rename", 1), ("unlink", 2)]
SLOW = [
    (call, which)
    for call, count in (("write", 12), ("pwrite64", 14), ("fdatasync", 14), ("fsync", 2))
    for which in range(1, count + 1)
    if (call, which) not in FAST
]


class TestTraced:
    @pytest.mark.parametrize(
        ("call", "which"), [*FAST, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]
    )
    def test_killed_by_the_kernel(self, command: FuseCommand, fused: bytes, out: Path, call: str, which: int):
        killed = command.run(out, prefix=tracing(out, kill_at(call, which)))
        if killed.returncode == 0:
            pytest.skip(f"a run does not {call} {which} times here")
        assert "Traceback" not in killed.stderr
        if not out.exists() or out.with_name(".out.tif.journal").exists():
            command.finish(out)
        assert (out.read_bytes(), hidden_files(out)) == (fused, [])

    @pytest.mark.parametrize(
        ("call", "error"), [("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("write", "ENOSPC")]
    )
    def test_refused_by_the_disk(self, command: FuseCommand, fused: bytes, out: Path, call: str, error: str):
        failed = command.run(out, prefix=tracing(out, f"{call}:error={error}:when=7+"))
        assert failed.returncode == 6, failed.stderr
        assert failed.stderr.splitlines()[-1].startswith("bnnpan: error: ")
        assert "Traceback" not in failed.stderr
        kept = re.search(r"(\d) of 6 blocks of out.tif are kept; run the same command again", failed.stderr)
        assert (kept is None) == (call == "write")  # that is how GDAL lays the file out
        resumed = command.finish(out)["resumed_tiles"]
        assert resumed == (int(kept[1]) if kept else 0)
        assert (out.read_bytes(), hidden_files(out)) == (fused, [])

    @pytest.mark.parametrize(
        "which", [3, *(pytest.param(which, marks=pytest.mark.slow) for which in (1, 2, 4, 5, 6, 7))]
    )
    def test_one_failed_write_of_the_layout(self, command: FuseCommand, fused: bytes, out: Path, which: int):
        """GDAL goes on after some of them, with another layout."""
        failed = command.run(out, prefix=tracing(out, f"write:error=EIO:when={which}"))
        assert (failed.returncode, out.exists(), hidden_files(out)) == (6, False, [])
        command.finish(out)
        assert out.read_bytes() == fused

    def test_after_the_layout_the_kernel_sees_the_calls_that_the_other_tests_watch(
        self, command: FuseCommand, fused: bytes, out: Path
    ):
        assert command.run(out, prefix=tracing(out)).returncode == 0
        calls = re.findall(r"^\d+ +(\w+)\(", out.with_name("trace").read_text(), re.MULTILINE)
        layout = calls.index("fdatasync")
        assert set(calls[:layout]) <= {"openat", "write", "ftruncate", "unlink"}
        assert set(calls[layout:]) <= {"openat", "pwrite64", "fdatasync", "fsync", "rename", "unlink"}
        assert calls[-3:] == ["rename", "openat", "fsync"] or calls[-4:-1] == ["rename", "openat", "fsync"]


@pytest.mark.parametrize(
    ("options", "resumed"),
    [({}, 4), ({"tile": 128}, 1), ({"tile": 32, "threads": 2}, 16), ({"memory": "1GiB"}, 4)],
    ids=["the same", "larger tiles", "smaller tiles, threads", "another budget"],
)
def test_what_a_killed_run_has_finished_is_kept(
    command: FuseCommand, fused: bytes, out: Path, options: dict[str, object], resumed: int
):
    assert command.run_until(out, 4, signal.SIGKILL).returncode == -signal.SIGKILL
    assert not out.exists()
    assert command.finish(out, **options)["resumed_tiles"] == resumed
    assert (out.read_bytes(), hidden_files(out)) == (fused, [])


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_stops_it_and_it_says_how_to_go_on(
    command: FuseCommand, fused: bytes, out: Path, number: signal.Signals, code: int, word: str
):
    stopped = command.run_until(out, 2, number)
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (
        code,
        "",
        f"bnnpan: {word}; 2 of 6 blocks of out.tif are kept;"
        " run the same command again to go on from there\n",
    )
    assert command.finish(out)["resumed_tiles"] == 2
    assert (out.read_bytes(), hidden_files(out)) == (fused, [])


class TestChangedMeanwhile:
    @pytest.fixture
    def own(self, command: FuseCommand, tmp_path: Path, out: Path) -> FuseCommand:
        """A command on copies of the inputs, whose run was killed."""
        raw = type(command.raw)(
            *(Path(shutil.copy2(path, tmp_path)) for path in (command.raw.pan, command.raw.ms))
        )
        own = FuseCommand(raw)
        own.run_until(out, 2, signal.SIGKILL)
        return own

    def test_names_of_the_inputs_do_not_matter(self, own: FuseCommand, command: FuseCommand, out: Path):
        assert command.finish(out)["resumed_tiles"] == 2

    @pytest.mark.parametrize("dated_back", [False, True])
    def test_pixels(self, own: FuseCommand, out: Path, tmp_path: Path, dated_back: bool):
        path, before = own.raw.pan, own.raw.pan.stat()
        with rasterio.open(path, "r+") as pan:
            pan.write(pan.read() // 2)
        if dated_back:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        refused = own.run(out, suffix=("--resume",))
        assert refused.returncode == 6 and "--restart" in refused.stderr
        result = own.run(out)
        assert result.returncode == 0 and '"resumed_tiles": 0' in result.stdout
        assert "discarded: PAN or MS has changed since" in result.stderr
        other = tmp_path / "other.tif"
        own.finish(other)
        assert out.read_bytes() == other.read_bytes()

    def test_the_method(self, own: FuseCommand, out: Path):
        result = own.run(out, backend="classical")
        assert result.returncode == 0 and '"resumed_tiles": 0' in result.stdout
        assert "discarded: it was made with another bundle, backend, option or version" in result.stderr
