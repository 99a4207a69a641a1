"""strace as a tool for faults: it counts a run's system calls and disturbs chosen ones.

strace counts the calls of each thread and each kind on its own; "the n-th pread64" is the n-th of a thread.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.processes import state, tracer

from .runs import Run, wait_until

UNSTEADY = frozenset({"futex", "sched_yield", "clock_nanosleep", "restart_syscall", "rt_sigreturn", "poll"})
"""Calls whose number depends on timing."""

_CALL = re.compile(r"^(\d+) +(\w+)\(", re.M)
_STOPPED = "--- stopped by SIGSTOP ---"
_MARKS = ("(INJECTED)", "(DELAYED)")


@dataclass(frozen=True)
class Injection:
    """What is done to which calls: `what` and `when` in strace's words."""

    call: str
    what: str
    when: str

    def __str__(self) -> str:
        """As strace writes it."""
        return f"{self.call}:{self.what}:when={self.when}"


class Tracing:
    """A strace that is attached to a run."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def text(self) -> str:
        """What it wrote so far."""
        try:
            return self._log.read_text(errors="replace")
        except OSError:
            return ""

    def stopped(self) -> bool:
        """Whether the run stands still where SIGSTOP was injected; it did so once before its first step."""
        return self.text().count(_STOPPED) > 1

    def attached(self) -> bool:
        """Whether the run's first stop has been seen: going on earlier would race with the tracer."""
        return _STOPPED in self.text()

    def fired(self) -> bool:
        """Whether a call was disturbed; signals are not marked."""
        text = self.text()
        return any(mark in text for mark in _MARKS)


def require_strace() -> str:
    """Its path. Raises ConfigError."""
    path = shutil.which("strace")
    if path is None:
        raise ConfigError("faults need strace (Debian and Ubuntu: apt-get install strace)")
    return path


@contextmanager
def traced(run: Run, log: Path, injection: Injection | None = None) -> Iterator[Tracing]:
    """Attach to a run that is stopped before its first step. Raises ConfigError where that is forbidden."""
    calls = "all" if injection is None else injection.call
    command = [require_strace(), "-f", "-qq", "-o", str(log), "-p", str(run.pid), "-e", f"trace={calls}"]
    command += [] if injection is None else ["-e", f"inject={injection}"]
    wait_until(lambda: state(run.pid) in ("T", ""))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        attached = wait_until(lambda: tracer(run.pid) == process.pid or process.poll() is not None)
        if not attached or process.poll() is not None:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            message = process.communicate()[1].decode(errors="replace").strip().splitlines()
            raise ConfigError(f"strace cannot trace here ({' '.join(message[-1:])}); allow ptrace")
        tracing = Tracing(log)
        wait_until(tracing.attached)
        yield tracing
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(2.0)  # it ends with the run
        process.kill()
        process.communicate()


def call_counts(text: str) -> dict[str, int]:
    """System call -> most calls of it by one thread, from strace's output."""
    by_thread: dict[str, Counter[str]] = {}
    for thread, call in _CALL.findall(text):
        by_thread.setdefault(thread, Counter())[call] += 1
    counts: dict[str, int] = {}
    for counter in by_thread.values():
        for call, number in counter.items():
            if call not in UNSTEADY:
                counts[call] = max(counts.get(call, 0), number)
    return counts


AtStop = Callable[[int], None]
"""Given the process, does something to it or its files while it stands still."""
