"""Memory cgroups, version 2 and version 1, made near the caller's own group and removed afterwards.

Version 2 forbids processes in a group whose children have controllers (Linux kernel documentation, "Control
Group v2", no internal process constraint). A caller inside such a group gets a sibling, not a child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_REMOVE_SECONDS = 2.0
_CANNOT_ENTER = 125
_ENTER = f'echo $$ > "$0" || exit {_CANNOT_ENTER}; exec "$@"'
_TRIAL_LIMIT_BYTES = 64 << 20


class CgroupFence:
    """One memory group; `current_file`, `peak_file` and `events_file` are what its version calls them."""

    def __init__(self, group: Path, *, current_file: str, peak_file: str, events_file: str) -> None:
        self._group = group
        self._current_file = current_file
        self._peak_file = peak_file
        self._events_file = events_file
        self._sampled_peak_bytes = 0

    def enter(self, command: Sequence[str]) -> list[str]:
        """A shell joins the group, then becomes the command: no memory of it is charged elsewhere."""
        return ["sh", "-c", _ENTER, str(self._group / "cgroup.procs"), *command]

    def watch(self, pid: int) -> None:
        """Sample the usage, for kernels that do not record its peak (version 2 before Linux 5.19)."""
        current = int(_read(self._group / self._current_file) or 0)
        self._sampled_peak_bytes = max(self._sampled_peak_bytes, current)

    def kills(self) -> int:
        """OOM kills inside the group."""
        for line in _read(self._group / self._events_file).splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def charged_peak_bytes(self) -> int:
        """Anonymous memory, page cache first touched here, shared memory and kernel memory of the tree."""
        return max(self._sampled_peak_bytes, int(_read(self._group / self._peak_file) or 0))


class CgroupV2:
    """The unified hierarchy."""

    name = "cgroup v2"

    def why_not(self) -> str | None:
        """Make a group, step into it, remove it."""
        return _try_out(self)

    @contextmanager
    def fence(self, limit_bytes: int) -> Iterator[CgroupFence]:
        """A group with `memory.max`. Raises OSError where none can be made."""
        with _group_below(self._parent()) as group:
            (group / "memory.max").write_text(str(limit_bytes))
            _write_if_there(group / "memory.swap.max", 0)
            yield CgroupFence(
                group, current_file="memory.current", peak_file="memory.peak", events_file="memory.events"
            )

    def _parent(self) -> Path:
        own = _own_group("cgroup2")
        if "memory" not in _read(own / "cgroup.controllers").split():
            raise OSError("the memory controller is not part of the v2 hierarchy here")
        with suppress(OSError):  # allowed in the root group only, the caller being inside
            (own / "cgroup.subtree_control").write_text("+memory")
        for folder in (own, own.parent):
            if "memory" in _read(folder / "cgroup.subtree_control").split():
                return folder
        raise OSError(f"no group at or above {own} passes the memory controller on")


class CgroupV1:
    """The hierarchy of the memory controller alone, on older systems."""

    name = "cgroup v1"

    def why_not(self) -> str | None:
        """Make a group, step into it, remove it."""
        return _try_out(self)

    @contextmanager
    def fence(self, limit_bytes: int) -> Iterator[CgroupFence]:
        """A group with `memory.limit_in_bytes`. Raises OSError where none can be made."""
        with _group_below(_own_group("cgroup", "memory")) as group:
            (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
            # Memory and swap together may not be less than memory alone, so this comes second. Absent
            # where the kernel does not count swap.
            _write_if_there(group / "memory.memsw.limit_in_bytes", limit_bytes)
            _write_if_there(group / "memory.swappiness", 0)
            yield CgroupFence(
                group,
                current_file="memory.usage_in_bytes",
                peak_file="memory.max_usage_in_bytes",
                events_file="memory.oom_control",
            )


def _try_out(limiter: CgroupV1 | CgroupV2) -> str | None:
    try:
        with limiter.fence(_TRIAL_LIMIT_BYTES) as fence:
            trial = subprocess.run(fence.enter(["true"]), capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{limiter.name}: {error}"
    return f"{limiter.name}: {trial.stderr.strip()}" if trial.returncode else None


def _own_group(filesystem: str, controller: str | None = None) -> Path:
    """Folder of the caller's group in the hierarchy of `controller` (version 1), or the unified one.

    The mount may show only a part of the hierarchy (containers): its root is cut from the group's path.
    """
    path = _own_path(controller)
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        mount, _, source = line.partition(" - ")
        root, point = mount.split()[3:5]
        kind, _, options = source.split()[:3]
        if kind != filesystem or (controller is not None and controller not in options.split(",")):
            continue
        return Path(point + "/" + path.removeprefix(root.rstrip("/")).lstrip("/"))
    raise OSError(f"no {filesystem} hierarchy is mounted" + (f" for {controller}" if controller else ""))


def _own_path(controller: str | None) -> str:
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if (controller or "") in controllers.split(","):
            return path
    raise OSError(f"the kernel has no {controller or 'unified'} hierarchy")


@contextmanager
def _group_below(parent: Path) -> Iterator[Path]:
    group = Path(tempfile.mkdtemp(prefix="bnnpan_sim_", dir=parent))
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Kill what is left inside and remove the group, which is possible once the last of it is gone."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while time.monotonic() < deadline:
        for pid in _read(group / "cgroup.procs").split():
            with suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write_if_there(path: Path, value: int) -> None:
    with suppress(OSError):
        path.write_text(str(value))
