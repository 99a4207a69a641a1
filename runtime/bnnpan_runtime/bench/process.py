"""One process from start to end: what it printed, how long it took, and what the kernel counted."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.memory import KIB

__all__ = ["Usage", "run_process"]


@dataclass(frozen=True)
class Usage:
    """A finished process.

    cpu_seconds  of all its threads, in user and kernel mode
    peak_bytes   largest resident set; a new process starts with that of the one that forked it
    """

    output: bytes
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run_process(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command. Raises BackendError if it fails; what it writes to stderr passes through."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BackendError(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return Usage(output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB)
