"""What `/proc` says about a running process and its descendants. Vanished processes count as nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def resident_bytes_and_peak(pid: int) -> tuple[int, int]:
    """Resident set now (VmRSS) and at its largest so far (VmHWM), mapped files included.

    Unlike `ru_maxrss` the peak starts anew at exec, so the size of the parent never shows.
    """
    sizes = {"VmRSS:": 0, "VmHWM:": 0}
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        name = line.split(maxsplit=1)[0]
        if name in sizes:
            sizes[name] = int(line.split()[1]) << 10
    return sizes["VmRSS:"], sizes["VmHWM:"]


def state(pid: int) -> str:
    """State letter of a process: R, S, D, T and t (stopped), Z; empty once it is gone."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[0] if fields else ""


def tracer(pid: int) -> int:
    """Process that traces it, 0 for none."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


def proportional_bytes(pid: int) -> int:
    """Resident memory now, pages shared between processes divided fairly (PSS).

    Before Linux 4.14, or where another user's process hides it, its whole resident memory.
    """
    shared_out = _kib_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
    return shared_out or _kib_field(Path(f"/proc/{pid}/status"), "VmRSS:")


def descendants(pid: int) -> Iterator[int]:
    """The process and all it started that still hang below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from descendants(int(child))


def _kib_field(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
