"""The emulated computer: QEMU's `virt` board with a profile's memory, cores and core type."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import Board
from bnnpan_sim.limits import Throttle

BOOT_SECONDS = 600
"""Longest time until the job begins; 5 to 30 s are usual."""

_LAST_LINES = 3
_READ_BYTES = 1 << 16
# Pages are not zeroed when they are given out: what is set aside would otherwise be taken from this computer.
_KERNEL_OPTIONS = "console=ttyAMA0 quiet panic=-1 init_on_alloc=0"


@dataclass(frozen=True)
class Disks:
    """Images by their use: the system is only read."""

    system: Path
    data: Path


@dataclass(frozen=True)
class Ending:
    """How a board was switched off, by itself or not; `console` is what it said last."""

    started: bool
    timed_out: bool
    console: str


def command(
    emulator: str, board: Board, kernel: Path, initramfs: Path, disks: Disks, throttle: Throttle
) -> list[str]:
    """The computer's command line; its console is standard output."""
    if board.qemu_cpu is None:
        raise ConfigError(
            f"board {board.name}: level 3 needs 'qemu_cpu' in its profile, such as 'cortex-a53'"
        )
    return [
        *(emulator, "-machine", "virt", "-cpu", board.qemu_cpu),
        *("-smp", str(board.cores), "-m", f"{board.ram_mib}M"),
        *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", _KERNEL_OPTIONS),
        *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        *_disk("system", disks.system, ("readonly=on",)),
        *_disk("data", disks.data, ("cache=unsafe", *_rates(throttle))),
    ]


@dataclass
class _Limit:
    end: float
    started: bool = False
    over: bool = False


def boot(
    command: Sequence[str], timeout_seconds: float, said: Callable[[str, str], None] = lambda word, rest: None
) -> Ending:
    """Run the computer until it switches itself off. `said` is told each line that begins with @, by words.

    The time limit is the job's, and begins when the board says `started`.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines: list[str] = []
    limit = _Limit(time.monotonic() + BOOT_SECONDS)
    try:
        for line in _lines(process, limit):
            lines.append(line)
            if line.startswith("@"):
                word, _, rest = line[1:].partition(" ")
                if word == "started":
                    limit.started, limit.end = True, time.monotonic() + timeout_seconds
                said(word, rest)
        return Ending(limit.started, limit.over, _last(lines))
    finally:
        process.kill()
        process.wait()


def _lines(process: subprocess.Popen[bytes], limit: _Limit) -> Iterator[str]:
    """Lines as they come, until there are no more or the time is over."""
    assert process.stdout is not None
    stream = process.stdout.fileno()
    rest = b""
    while True:
        ready, _, _ = select.select([stream], [], [], max(0.0, limit.end - time.monotonic()))
        if not ready:
            limit.over = True
            return
        read = os.read(stream, _READ_BYTES)
        *whole, rest = (rest + read).split(b"\n")
        yield from (line.decode(errors="replace").strip() for line in whole)
        if not read:
            return


def _last(lines: Sequence[str]) -> str:
    return "; ".join([line for line in lines if line and not line.startswith("@")][-_LAST_LINES:])


def _disk(name: str, image: Path, options: Sequence[str]) -> list[str]:
    """A disk that the board finds by its serial number, which is its name."""
    # A comma in a path is written twice.
    file = str(image).replace(",", ",,")
    drive = ",".join(["if=none", "format=raw", f"id={name}", f"file={file}", *options])
    return ["-drive", drive, "-device", f"virtio-blk-device,drive={name},serial={name}"]


def _rates(throttle: Throttle) -> list[str]:
    rates = {"read": throttle.read_bytes_per_second, "write": throttle.write_bytes_per_second}
    return [f"throttling.bps-{name}={rate}" for name, rate in rates.items() if rate]
