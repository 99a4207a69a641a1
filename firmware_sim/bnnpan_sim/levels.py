"""Levels of truth: how near a run comes to the board.

1  this machine's native program under the board's limits: memory is real, instructions and seconds are not
2  the board's own instructions under qemu's user mode: instructions are real, memory and seconds are not
3  a whole emulated board with its own kernel: instructions and memory are real, seconds are not
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from bnnpan_runtime.memory import GIB, format_size

from .board import Board
from .job import Job
from .limits import Limiter, Outcome, choose_limiter, run_limited
from .limits.throttle import NO_THROTTLE, Throttle, not_throttled

NATIVE, EMULATED, WHOLE_BOARD = 1, 2, 3
LEVELS = (NATIVE, EMULATED, WHOLE_BOARD)

_ROOM_BYTES = 2 * GIB
"""What an emulated program is promised: its own count of its memory includes the emulator."""


class Level(Protocol):
    """How `bnnpan` is run."""

    @property
    def number(self) -> int:
        """1, 2 or 3."""

    @property
    def memory_counts(self) -> bool:
        """Memory is limited, and what is measured is the application's."""

    def run(self, job: Job) -> Outcome:
        """Run `bnnpan` to its end. Raises ConfigError where the board does not work."""

    def budget_bytes(self, budget_bytes: int) -> int:
        """What `--memory` may say at this level."""

    def notes(self, board: Board) -> list[str]:
        """What the reader of a report has to know."""


class Native:
    """Level 1, limited by the strongest means there is, or by `limiter`."""

    number = NATIVE
    memory_counts = True

    def __init__(self, limiter: Limiter | None = None) -> None:
        self._limiter = limiter

    def run(self, job: Job) -> Outcome:
        """This Python under the board's limits."""
        limiter = self._limiter or choose_limiter()
        return _run(self.command(job.arguments, job.board), job, limiter)

    def command(self, arguments: Sequence[str], board: Board) -> list[str]:
        """This Python, with the runtime it imports."""
        return [sys.executable, "-m", "bnnpan_runtime", *arguments]

    def budget_bytes(self, budget_bytes: int) -> int:
        """As promised."""
        return budget_bytes

    def notes(self, board: Board) -> list[str]:
        """Cores and instructions are this machine's."""
        lent = len(os.sched_getaffinity(0))
        if lent < board.cores:
            return [f"{board.name} has {board.cores} cores, this machine lends {lent}"]
        return []


class Emulated:
    """Level 2. Raises ConfigError where it was not prepared."""

    number = EMULATED
    memory_counts = False

    def __init__(self) -> None:
        from .aarch64.level2 import load

        self._prepared = load()

    def run(self, job: Job) -> Outcome:
        """The aarch64 Python with our aarch64 wheel, under the emulator."""
        command = self._prepared.command(job.arguments, job.board)
        return _run(command, job, Unlimited(), self._prepared.variables())

    def budget_bytes(self, budget_bytes: int) -> int:
        """Room for the emulator; the product does not depend on the budget."""
        return max(budget_bytes, _ROOM_BYTES)

    def notes(self, board: Board) -> list[str]:
        """What ran, what the board's system would refuse, and what emulation cannot show."""
        unseen = "memory was neither limited nor judged: under emulation it is the emulator's"
        return [*self._prepared.notes(board), unseen]


def level(number: int, limiter: Limiter | None = None) -> Level:
    """The level of that number; `limiter` is for level 1. Raises ConfigError where it cannot be had."""
    if number == NATIVE:
        return Native(limiter)
    if number == EMULATED:
        return Emulated()
    from .whole_board.level3 import load

    return load()


def _run(
    command: Sequence[str], job: Job, limiter: Limiter, variables: Mapping[str, str] | None = None
) -> Outcome:
    """A process of this computer."""
    limit = f"{format_size(job.limit_bytes)} enforced by {limiter.name}"
    return run_limited(
        command,
        job.limit_bytes,
        limiter,
        cores=job.board.cores,
        timeout_seconds=job.timeout_seconds,
        throttle=job.throttle,
        variables=variables,
        started=lambda: job.happened("started", limit),
        watch=job.watch,
    )


class _Open:
    """A fence that holds nothing back."""

    def __init__(self, said: Sequence[str]) -> None:
        self.said = tuple(said)

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command itself."""
        return list(command)

    def watch(self, pid: int) -> None:
        """Nothing to watch."""

    def kills(self) -> int:
        """None."""
        return 0

    def charged_peak_bytes(self) -> int:
        """Nothing is counted."""
        return 0


class Unlimited:
    """For runs whose memory is not the board's."""

    name = "nothing"

    def why_not(self) -> None:
        """It always works."""

    @contextmanager
    def fence(self, limit_bytes: int, throttle: Throttle = NO_THROTTLE) -> Iterator[_Open]:
        """Nothing to set up or remove."""
        yield _Open(not_throttled(throttle, "emulation sets the pace"))
