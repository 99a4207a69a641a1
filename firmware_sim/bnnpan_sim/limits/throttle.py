"""Processor time and storage throughput of a slower computer, where the kernel's control groups allow it.

Reads that the page cache answers are not slowed. Version 1 sees buffered writes too late to slow them
(Linux kernel documentation, "Block IO Controller"); version 2 slows them where memory and io are one group.
What could be done, and what not, is said in words: a limit that is not there must not be believed in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .groups import group_below, own_group, read

_PERIOD_US = 100_000
_SECTORS = Path("/sys/dev/block")


@dataclass(frozen=True)
class Throttle:
    """What a run may take at most; None is not limited.

    cores    processor time per time, in cores: 0.5 is half of one
    folder   on the disk whose throughput is limited, bytes/s
    """

    cores: float | None = None
    read_bytes_per_second: int | None = None
    write_bytes_per_second: int | None = None
    folder: Path = Path(".")

    @property
    def storage(self) -> dict[str, int]:
        """Rates by cgroup's own word for reading and writing."""
        rates = {"rbps": self.read_bytes_per_second, "wbps": self.write_bytes_per_second}
        return {name: rate for name, rate in rates.items() if rate is not None}


NO_THROTTLE = Throttle()


@contextmanager
def throttled_v1(throttle: Throttle) -> Iterator[tuple[list[Path], list[str]]]:
    """Further groups to enter, and what was limited, in words."""
    groups: list[Path] = []
    said: list[str] = []
    with ExitStack() as stack:
        if throttle.cores is not None:
            with _saying(said, "processor time"):
                group = stack.enter_context(group_below(own_group("cgroup", "cpu")))
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(_quota_us(throttle.cores)))
                groups.append(group)
                said.append(f"processor time: {throttle.cores:g} cores by cgroup v1")
        if throttle.storage:
            with _saying(said, "storage throughput"):
                group = stack.enter_context(group_below(own_group("cgroup", "blkio")))
                for name, rate in throttle.storage.items():
                    word = "read" if name == "rbps" else "write"
                    line = f"{_disk(throttle.folder)} {rate}"
                    (group / f"blkio.throttle.{word}_bps_device").write_text(line)
                groups.append(group)
                said.append(
                    f"storage: {rates_in_words(throttle)} by cgroup v1, but buffered writes are not slowed"
                )
        yield groups, said


def throttle_v2(group: Path, throttle: Throttle) -> list[str]:
    """Limit a group that exists; what was limited, in words."""
    said: list[str] = []
    if throttle.cores is not None:
        with _saying(said, "processor time"):
            (group / "cpu.max").write_text(f"{_quota_us(throttle.cores)} {_PERIOD_US}")
            said.append(f"processor time: {throttle.cores:g} cores by cgroup v2")
    if throttle.storage:
        with _saying(said, "storage throughput"):
            rates = " ".join(f"{name}={rate}" for name, rate in throttle.storage.items())
            (group / "io.max").write_text(f"{_disk(throttle.folder)} {rates}")
            said.append(f"storage: {rates_in_words(throttle)} by cgroup v2")
    return said


def not_throttled(throttle: Throttle, reason: str) -> list[str]:
    """What stays as it is, in words."""
    wanted = {"processor time": throttle.cores is not None, "storage throughput": bool(throttle.storage)}
    return [f"{name} not limited: {reason}" for name, asked in wanted.items() if asked]


@contextmanager
def _saying(said: list[str], name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said.append(f"{name} not limited: {error}")


def _quota_us(cores: float) -> int:
    return max(1000, round(cores * _PERIOD_US))  # the kernel takes no less than 1 ms


def rates_in_words(throttle: Throttle) -> str:
    """The storage throughput that is wanted."""
    words = {"rbps": "reads", "wbps": "writes"}
    return ", ".join(f"{words[name]} at {rate / 1e6:g} MB/s" for name, rate in throttle.storage.items())


def _disk(folder: Path) -> str:
    """`major:minor` of the whole disk below a folder. Raises OSError where there is none (tmpfs, overlay)."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    entry = _SECTORS / number
    if not entry.exists():
        raise OSError(f"{folder} is on no disk of its own")
    with suppress(OSError):
        if (entry / "partition").exists():
            return read(entry.resolve().parent / "dev").strip()
    return number
