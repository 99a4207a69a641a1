"""Runs of `bnnpan` as processes of their own, which never outlive the worker that started them.

A worker may be killed at any instant. Its run must not go on: whoever does the job again would find the
product locked by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Ended", "run"]

_LEASH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL; kept by exec
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program, after asking the kernel to kill it when the thread that started it ends: 15 ms."""

_OUTPUT_ERROR = 6
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Ended:
    """How a run has ended.

    exit_code  as a shell shows it: 128 and the signal's number for one that was killed
    value      the JSON that it printed; empty if it failed
    message    last line it wrote to standard error
    attempts   how often it was started
    """

    exit_code: int
    value: dict[str, Any]
    message: str
    seconds: float
    attempts: int = 1


def run(words: Sequence[str], directory: str) -> Ended:
    """Run `bnnpan` with these words, which ask for JSON; again if it was killed, which may be by accident.

    It is also started again if its product could not be written: a run that was killed a moment ago on
    another computer may still hold the lock.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        ended = _once(words, directory, attempt)
        if ended.exit_code <= 128 and ended.exit_code != _OUTPUT_ERROR:
            break
        time.sleep(_PAUSE_SECONDS if attempt < _ATTEMPTS else 0)
    return ended


def _once(words: Sequence[str], directory: str, attempt: int) -> Ended:
    program = [sys.executable, "-P", "-m", "bnnpan_runtime", *words]
    leash = [sys.executable, "-ISc", _LEASH, str(os.getpid()), *program]
    began = time.monotonic()
    try:
        done = subprocess.run(
            leash, cwd=directory, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        return Ended(127, {}, f"cannot be started: {error}", 0.0, attempt)
    seconds = time.monotonic() - began
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    value = _json(done.stdout) if code == 0 else {}
    if code == 0 and not value:
        code = 1
    return Ended(code, value, _last_line(done.stderr) or _signal_name(code), seconds, attempt)


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("bnnpan: error: ") if lines else ""


def _signal_name(code: int) -> str:
    return f"killed by signal {code - 128}" if code > 128 else ""
