"""Starts runs to be disturbed: forked from a warm process, or cold, as a shell would start them."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

_START_SECONDS = 60.0


class Run(Protocol):
    """One run, stopped before its first step until `go`."""

    @property
    def pid(self) -> int:
        """Its process, which leads a session of its own."""

    def go(self) -> None:
        """Let it begin."""

    def exit_code(self, timeout_seconds: float) -> int | None:
        """Its end as Python gives it, or None if it has not ended within this time."""


class Runs(Protocol):
    """A way to start them."""

    def start(self, arguments: Sequence[str], stdout: Path, stderr: Path) -> Run:
        """`bnnpan` with these arguments."""

    def close(self) -> None:
        """End what is left."""


class ForkedRuns:
    """Runs forked from `server`. Addresses are not randomised, so that a flipped bit can be flipped again."""

    def __init__(self) -> None:
        setarch = shutil.which("setarch")
        fixed = [setarch, "-R"] if setarch else []
        self._server = subprocess.Popen(
            [*fixed, sys.executable, "-m", "bnnpan_sim.faults.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )

    def preload(self, names: Sequence[str]) -> None:
        """Import modules before the next fork."""
        self._tell({"import": list(names)})
        self.answer(_START_SECONDS)

    def start(
        self, arguments: Sequence[str], stdout: Path, stderr: Path, modules: Path | None = None
    ) -> ForkedRun:
        """Fork; `modules` receives the names of what the run had imported at its end."""
        request = {"arguments": list(arguments), "stdout": str(stdout), "stderr": str(stderr)}
        self._tell(request if modules is None else {**request, "modules": str(modules)})
        answer = self.answer(_START_SECONDS) or {}
        return ForkedRun(self, int(answer["pid"]))

    def answer(self, timeout_seconds: float) -> dict[str, Any] | None:
        """The server's next line, None if it says nothing for so long."""
        stream = self._server.stdout
        assert stream is not None
        if not select.select([stream], [], [], timeout_seconds)[0]:
            return None
        value: dict[str, Any] = json.loads(stream.readline() or "{}")
        return value

    def close(self) -> None:
        """End the server; its runs have ended before."""
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.communicate()

    def _tell(self, value: dict[str, Any]) -> None:
        stream = self._server.stdin
        assert stream is not None
        stream.write(json.dumps(value).encode() + b"\n")
        stream.flush()


class ForkedRun:
    """A run of `ForkedRuns`."""

    def __init__(self, runs: ForkedRuns, pid: int) -> None:
        self._runs = runs
        self.pid = pid

    def go(self) -> None:
        """Let it begin."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def exit_code(self, timeout_seconds: float) -> int | None:
        """Its end, or None if it has not ended within this time."""
        answer = self._runs.answer(timeout_seconds)
        return None if answer is None else int(answer["exit"])


_STOPPED = 'kill -STOP $$; exec "$@"'


class ColdRuns:
    """Processes of their own; start and imports are disturbed, too."""

    def start(self, arguments: Sequence[str], stdout: Path, stderr: Path) -> ColdRun:
        """A shell that stops itself, then becomes the run."""
        command = ["sh", "-c", _STOPPED, "sh", sys.executable, "-m", "bnnpan_runtime", *arguments]
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        return ColdRun(process)

    def close(self) -> None:
        """Nothing is left: each run is awaited."""


class ColdRun:
    """A run of `ColdRuns`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def go(self) -> None:
        """Let it begin."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def exit_code(self, timeout_seconds: float) -> int | None:
        """Its end, or None if it has not ended within this time."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_seconds)
        return None


def wait_until(happened: Any, timeout_seconds: float = 10.0) -> bool:
    """Poll; whether it happened in time."""
    deadline = time.monotonic() + timeout_seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
