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

from bnnpan_runtime.graph.libbnnpan import LIBRARY_VARIABLE, library_path

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


def traced_calls(out: Path) -> list[str]:
    """Names of the calls of a traced run."""
    return re.findall(r"^\d+ +(\w+)\(", out.with_name("trace").read_text(), re.MULTILINE)


def kill_at(call: str, which: int) -> str:
    return f"{call}:signal=SIGKILL:when={which}"


# The layout writes a frame and six blocks, then come the journal's header, and six blocks with their records.
FAST = [("pwrite64", 5), ("pwrite64", 12), ("fdatasync", 6), ("fsync", 2), ("rename", 1), ("unlink", 2)]
SLOW = [
    (call, which)
    for call, count in (("pwrite64", 20), ("fdatasync", 14), ("fsync", 2))
    for which in range(1, count + 1)
    if (call, which) not in FAST
]


class TestTraced:
    @pytest.mark.parametrize(
        ("call", "which"), [*FAST, *(pytest.param(*one, marks=pytest.mark.exhaustive) for one in SLOW)]
    )
    def test_killed_by_the_kernel(self, command: FuseCommand, fused: bytes, out: Path, call: str, which: int):
        killed = command.run(out, prefix=tracing(out, kill_at(call, which)))
        if killed.returncode == 0:
            assert (call, which) not in FAST
            pytest.skip(f"a run does not {call} {which} times here")
        assert "Traceback" not in killed.stderr
        if not out.exists() or out.with_name(".out.tif.journal").exists():
            command.finish(out)
        assert (out.read_bytes(), hidden_files(out)) == (fused, [])

    @pytest.mark.parametrize(
        ("call", "error", "which"),
        [("pwrite64", "ENOSPC", 13), ("fdatasync", "EIO", 7)],
    )
    def test_refused_by_the_disk(
        self, command: FuseCommand, fused: bytes, out: Path, call: str, error: str, which: int
    ):
        failed = command.run(out, prefix=tracing(out, f"{call}:error={error}:when={which}+"))
        assert failed.returncode == 6, failed.stderr
        assert failed.stderr.splitlines()[-1].startswith("bnnpan: error: ")
        assert "Traceback" not in failed.stderr
        kept = re.search(r"(\d) of 6 blocks of out.tif are kept; run the same command again", failed.stderr)
        assert kept is not None
        assert command.finish(out)["resumed_tiles"] == int(kept[1])
        assert (out.read_bytes(), hidden_files(out)) == (fused, [])

    @pytest.mark.parametrize("lasting", ["", "+"], ids=["once", "from then on"])
    @pytest.mark.parametrize(
        ("error", "which"),
        [
            ("EIO", 3),
            ("ENOSPC", 2),
            *(pytest.param("EIO", which, marks=pytest.mark.exhaustive) for which in (1, 2, 4, 5, 6, 7)),
        ],
    )
    def test_refused_while_the_file_is_laid_out(
        self, command: FuseCommand, fused: bytes, out: Path, error: str, which: int, lasting: str
    ):
        """The first write that fails is the last, by whatever call: GDAL would go on, some time for ever."""
        refusals = [f"{call}:error={error}:when={which}{lasting}" for call in ("write", "pwrite64")]
        failed = command.run(out, prefix=tracing(out, *refusals))
        assert (failed.returncode, out.exists(), hidden_files(out)) == (6, False, [])
        assert "Traceback" not in failed.stderr
        calls = traced_calls(out)
        assert (calls.count("write"), calls.count("pwrite64")) == (0, which)
        command.finish(out)
        assert out.read_bytes() == fused

    def test_the_kernel_sees_only_the_calls_that_the_other_tests_watch(
        self, command: FuseCommand, fused: bytes, out: Path
    ):
        assert command.run(out, prefix=tracing(out)).returncode == 0
        calls = traced_calls(out)
        watched = {"pwrite64", "ftruncate", "fdatasync", "fsync", "rename", "unlink"}
        assert set(calls) <= {"openat", *watched}
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

    def test_the_engine(self, own: FuseCommand, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        patched = tmp_path / "libbnnpan.so"
        patched.write_bytes(library_path().read_bytes() + b"a patch")
        monkeypatch.setenv(LIBRARY_VARIABLE, str(patched))
        assert own.run(out, suffix=("--resume",)).returncode == 6
        result = own.run(out)
        assert result.returncode == 0 and '"resumed_tiles": 0' in result.stdout
        assert "discarded: it was made with another bundle, backend, option or version" in result.stderr

    def test_the_method(self, own: FuseCommand, out: Path):
        result = own.run(out, backend="classical")
        assert result.returncode == 0 and '"resumed_tiles": 0' in result.stdout
        assert "discarded: it was made with another bundle, backend, option or version" in result.stderr
