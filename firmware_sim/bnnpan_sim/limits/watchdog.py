"""The fallback that works everywhere: poll the memory of the process tree, kill it when it is over the limit.

Weaker than a cgroup: page cache and files in memory (`/dev/shm`) are not counted, and an excess between two
polls is seen late. `RLIMIT_DATA` bounds how far a single process can get in between. It counts address space
rather than memory in use (thread stacks and heaps in reserve included), so it stands well above the limit.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from bnnpan_sim.processes import descendants, proportional_bytes

from .throttle import NO_THROTTLE, Throttle, not_throttled

_ENTER = 'ulimit -d "$0" && exec "$@"'
_RESERVED_BYTES = 512 << 20


class WatchdogFence:
    """Polling of one process tree."""

    def __init__(self, limit_bytes: int, said: Sequence[str] = ()) -> None:
        self._limit_bytes = limit_bytes
        self.said = tuple(said)
        self._peak_bytes = 0
        self._kills = 0

    def enter(self, command: Sequence[str]) -> list[str]:
        """A shell sets `RLIMIT_DATA` (in KiB), then becomes the command."""
        data_kib = (2 * self._limit_bytes + _RESERVED_BYTES) >> 10
        return ["sh", "-c", _ENTER, str(data_kib), *command]

    def watch(self, pid: int) -> None:
        """Add up the tree and kill all of it if it is over the limit."""
        if self._kills:
            return
        tree = list(descendants(pid))
        used_bytes = sum(proportional_bytes(member) for member in tree)
        self._peak_bytes = max(self._peak_bytes, used_bytes)
        if used_bytes <= self._limit_bytes:
            return
        for member in tree:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
                self._kills += 1

    def kills(self) -> int:
        """Processes killed for being part of a tree over the limit."""
        return self._kills

    def charged_peak_bytes(self) -> int:
        """Largest sum of PSS seen over the tree."""
        return self._peak_bytes


class Watchdog:
    """Polling, for machines where no memory cgroup can be made."""

    name = "watchdog"

    def why_not(self) -> str | None:
        """It needs nothing but `/proc`."""
        return None

    @contextmanager
    def fence(self, limit_bytes: int, throttle: Throttle = NO_THROTTLE) -> Iterator[WatchdogFence]:
        """Nothing to set up or remove: the run's session is killed by whoever started it."""
        yield WatchdogFence(limit_bytes, not_throttled(throttle, "no control group can be made"))
