"""Memory cgroups, version 2 and version 1, made near the caller's own group and removed afterwards.

Version 2 forbids processes in a group whose children have controllers (Linux kernel documentation, "Control
Group v2", no internal process constraint). A caller inside such a group gets a sibling, not a child.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .groups import group_below, own_group, read, write_if_there
from .throttle import NO_THROTTLE, Throttle, throttle_v2, throttled_v1

_CANNOT_ENTER = 125
_ENTER = f'while [ "$1" != -- ]; do echo $$ > "$1" || exit {_CANNOT_ENTER}; shift; done; shift; exec "$@"'
_TRIAL_LIMIT_BYTES = 64 << 20


class CgroupFence:
    """One memory group; `current_file`, `peak_file` and `events_file` are what its version calls them.

    `others` are groups of other hierarchies to enter as well; `said` tells what is limited besides memory.
    """

    def __init__(
        self,
        group: Path,
        *,
        current_file: str,
        peak_file: str,
        events_file: str,
        others: Sequence[Path] = (),
        said: Sequence[str] = (),
    ) -> None:
        self._group = group
        self._others = others
        self.said = tuple(said)
        self._current_file = current_file
        self._peak_file = peak_file
        self._events_file = events_file
        self._sampled_peak_bytes = 0

    def enter(self, command: Sequence[str]) -> list[str]:
        """A shell joins the groups, then becomes the command: no memory of it is charged elsewhere."""
        groups = [str(group / "cgroup.procs") for group in (self._group, *self._others)]
        return ["sh", "-c", _ENTER, "sh", *groups, "--", *command]

    def watch(self, pid: int) -> None:
        """Sample the usage, for kernels that do not record its peak (version 2 before Linux 5.19)."""
        current = int(read(self._group / self._current_file) or 0)
        self._sampled_peak_bytes = max(self._sampled_peak_bytes, current)

    def kills(self) -> int:
        """OOM kills inside the group."""
        for line in read(self._group / self._events_file).splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def charged_peak_bytes(self) -> int:
        """Anonymous memory, page cache first touched here, shared memory and kernel memory of the tree."""
        return max(self._sampled_peak_bytes, int(read(self._group / self._peak_file) or 0))


class CgroupV2:
    """The unified hierarchy."""

    name = "cgroup v2"

    def why_not(self) -> str | None:
        """Make a group, step into it, remove it."""
        return _try_out(self)

    @contextmanager
    def fence(self, limit_bytes: int, throttle: Throttle = NO_THROTTLE) -> Iterator[CgroupFence]:
        """A group with `memory.max`. Raises OSError where none can be made."""
        with group_below(self._parent()) as group:
            (group / "memory.max").write_text(str(limit_bytes))
            write_if_there(group / "memory.swap.max", 0)
            yield CgroupFence(
                group,
                current_file="memory.current",
                peak_file="memory.peak",
                events_file="memory.events",
                said=throttle_v2(group, throttle),
            )

    def _parent(self) -> Path:
        own = own_group("cgroup2")
        if "memory" not in read(own / "cgroup.controllers").split():
            raise OSError("the memory controller is not part of the v2 hierarchy here")
        for controller in ("memory", "cpu", "io"):
            with suppress(OSError):  # allowed in the root group only, the caller being inside
                (own / "cgroup.subtree_control").write_text(f"+{controller}")
        for folder in (own, own.parent):
            if "memory" in read(folder / "cgroup.subtree_control").split():
                return folder
        raise OSError(f"no group at or above {own} passes the memory controller on")


class CgroupV1:
    """The hierarchy of the memory controller alone, on older systems."""

    name = "cgroup v1"

    def why_not(self) -> str | None:
        """Make a group, step into it, remove it."""
        return _try_out(self)

    @contextmanager
    def fence(self, limit_bytes: int, throttle: Throttle = NO_THROTTLE) -> Iterator[CgroupFence]:
        """A group with `memory.limit_in_bytes`. Raises OSError where none can be made."""
        with group_below(own_group("cgroup", "memory")) as group, throttled_v1(throttle) as (others, said):
            (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
            # Memory and swap together may not be less than memory alone, so this comes second. Absent
            # where the kernel does not count swap.
            write_if_there(group / "memory.memsw.limit_in_bytes", limit_bytes)
            write_if_there(group / "memory.swappiness", 0)
            yield CgroupFence(
                group,
                current_file="memory.usage_in_bytes",
                peak_file="memory.max_usage_in_bytes",
                events_file="memory.oom_control",
                others=others,
                said=said,
            )


def _try_out(limiter: CgroupV1 | CgroupV2) -> str | None:
    try:
        with limiter.fence(_TRIAL_LIMIT_BYTES) as fence:
            trial = subprocess.run(fence.enter(["true"]), capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{limiter.name}: {error}"
    return f"{limiter.name}: {trial.stderr.strip()}" if trial.returncode else None
