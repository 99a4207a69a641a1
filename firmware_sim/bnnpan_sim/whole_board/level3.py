"""What level 3 runs: level 2's packages on the disk of an emulated computer.

Files go in and out on a disk that is filled and read while the computer is off, as flash is on the bench.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.memory import format_size
from bnnpan_sim.aarch64 import level2
from bnnpan_sim.aarch64.debian import find
from bnnpan_sim.aarch64.environment import cache_folder
from bnnpan_sim.board import Board, load_board
from bnnpan_sim.job import Job
from bnnpan_sim.limits import Outcome, Sample
from bnnpan_sim.limits.throttle import Throttle, not_throttled, rates_in_words

from .cargo import load_disk, unload_disk
from .disks import link_tree, make_disk, size_of
from .kernel import Kernel, fetch_kernel, kernel_folder
from .machine import Disks, boot, command

_SETUP = "`bnnpan sim setup --level 3`"
_EMULATOR = "qemu-system-aarch64"
_KILLED = 137
_WARM_UP = "import numpy, rasterio, bnnpan_runtime.cli.fuse, bnnpan_runtime.run"


@dataclass(frozen=True)
class WholeBoard:
    """Level 3, prepared."""

    emulator: str
    kernel: Kernel
    packages: level2.Level2

    number = 3
    memory_counts = True
    enforced_by = "the board's own kernel"

    def run(self, job: Job) -> Outcome:
        """Boot the board, let it do the job, and take what it made off its disk. Raises ConfigError."""
        # Beside what tells of the run, in the folder for such: disks are large, and /tmp may be memory.
        beside = job.outputs[-1].parent if job.outputs else None
        with tempfile.TemporaryDirectory(prefix="board-", dir=beside) as name:
            folder = Path(name)
            (folder / "initramfs").write_bytes(self.kernel.initramfs())
            disks = Disks(_system_disk(self.packages), folder / "data.ext4")
            image = self.kernel.image
            words = command(self.emulator, job.board, image, folder / "initramfs", disks, job.throttle)
            load_disk(disks.data, folder / "loaded", job, self.packages.packages)
            begin = time.monotonic()
            ending = boot(words, job.timeout_seconds, lambda word, rest: self._tell(job, word, rest))
            seconds = time.monotonic() - begin
            result = unload_disk(disks.data, folder / "left", job)
            if result is None and not (ending.timed_out and ending.started):
                why = "did not come up" if ending.timed_out else "went off before the job ended"
                raise ConfigError(f"board {job.board.name} {why}: {ending.console or 'no message'}")
            return _outcome(job, result or {}, folder / "left" / "out", seconds)

    def _tell(self, job: Job, word: str, rest: str) -> None:
        """What the board says on its console, in the words of a report."""
        if word == "booted":
            job.happened(word, f"Linux {self.kernel.version} after {rest} s of its time")
        elif word == "started":
            job.happened(word, f"{format_size(int(rest))} free, enforced by {self.enforced_by}")

    def budget_bytes(self, budget_bytes: int) -> int:
        """As promised."""
        return budget_bytes

    def notes(self, board: Board) -> list[str]:
        """What ran, and what emulation cannot show."""
        return [
            *self.packages.notes(board, self.number),
            f"Linux {self.kernel.version} on {board.cores} cores and {board.ram_mib} MiB; seconds are QEMU's",
        ]


def setup(
    wheel: Path | None,
    constraints: Path | None,
    requirements: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda line: None,
) -> tuple[WholeBoard, list[level2.Step]]:
    """Prepare level 3, and level 2 with it. Nothing is done twice. Raises Unavailable, ConfigError."""
    find(_EMULATOR), find("debugfs")
    packages, steps = level2.setup(wheel, constraints, requirements, say)
    _compile(packages)
    say("Debian's kernel: 60 MB to download, half a minute to unpack the first time")
    begin = time.monotonic()
    kernel = fetch_kernel()
    steps.append(level2.Step("kernel", time.monotonic() - begin, size_of(kernel.folder)))
    say("the board's disk: half a minute the first time")
    begin = time.monotonic()
    disk = _system_disk(packages)
    if not disk.is_file():
        _make_system_disk(packages, disk)
    steps.append(level2.Step("disk", time.monotonic() - begin, disk.stat().st_size))
    return WholeBoard(find(_EMULATOR), kernel, packages), steps


def load() -> WholeBoard:
    """What `setup` prepared. Raises ConfigError where it has not, Unavailable where QEMU is missing."""
    packages = level2.load(number=3)
    kernel = Kernel(kernel_folder())
    if not kernel.folder.is_dir() or not _system_disk(packages).is_file():
        raise ConfigError(f"level 3 is not prepared on this computer; run {_SETUP}")
    return WholeBoard(find(_EMULATOR), kernel, packages)


def _system_disk(packages: level2.Level2) -> Path:
    return packages.environment.folder / "system.ext4"


def _make_system_disk(packages: level2.Level2, disk: Path) -> None:
    """The root of the board: Debian's Python with its libraries, and the wheels, compiled as far as used."""
    environment = packages.environment
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="preparing-") as name:
        root = Path(name) / "root"
        link_tree(environment.folder / "system", root)
        link_tree(environment.folder / "packages", root / "packages")
        for mount in ("data", "dev", "proc", "sys", "tmp"):
            (root / mount).mkdir()
        fresh = Path(name) / "disk"
        make_disk(fresh, root, 0, journal=False)
        fresh.replace(disk)


def _compile(packages: level2.Level2) -> None:
    """Leave Python's compiled modules beside the sources, as an installation does: the disk is only read."""
    if not any(packages.packages.rglob("__pycache__")):
        ours = [packages.packages]
        packages.environment.run(["-c", _WARM_UP], board=load_board("pi-zero-2w"), packages=ours)


def _outcome(job: Job, told: Mapping[str, Any], out: Path, seconds: float) -> Outcome:
    """The board's own account; without one it was switched off when its time was over."""
    stdout, stderr = (
        path.read_text(errors="replace") if path.is_file() else ""
        for path in (out / "stdout", out / "stderr")
    )
    return Outcome(
        enforced_by=WholeBoard.enforced_by,
        limit_bytes=job.limit_bytes,
        exit_code=told.get("exit_code", _KILLED),
        killed=told.get("oom_kills", 0) > 0,
        timed_out=not told,
        peak_bytes=told.get("peak_bytes", 0),
        charged_peak_bytes=told.get("charged_peak_bytes", 0),
        seconds=told.get("seconds", seconds),
        cpu_seconds=told.get("cpu_seconds", 0.0),
        stdout=stdout,
        stderr=stderr,
        said=tuple(_said(job, told)),
        samples=tuple(Sample(*sample) for sample in told.get("samples", ())),
    )


def _said(job: Job, told: Mapping[str, Any]) -> Iterator[str]:
    if told:
        total, free = (format_size(told[name]) for name in ("total_bytes", "available_bytes"))
        yield f"the kernel leaves {total} of {job.board.ram_mib} MiB, {free} were the application's"
        if told["available_bytes"] < job.limit_bytes * 9 // 10:
            yield "that is less than the profile promises to an application"
    if job.throttle.storage:
        yield f"storage: {rates_in_words(job.throttle)} by QEMU"
    yield from not_throttled(Throttle(cores=job.throttle.cores), "emulation sets the pace")
