"""Levels of truth: how near a run comes to the board.

1  this machine's native program under the board's limits: memory is real, instructions and seconds are not
2  the board's own instructions under qemu's user mode: instructions are real, memory and seconds are not
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from bnnpan_runtime.memory import GIB

from .board import Board
from .limits.throttle import NO_THROTTLE, Throttle, not_throttled

NATIVE, EMULATED = 1, 2
LEVELS = (NATIVE, EMULATED)

_ROOM_BYTES = 2 * GIB
"""What an emulated run is promised: its own count of its memory includes the emulator."""


class Level(Protocol):
    """How `bnnpan` is run."""

    @property
    def number(self) -> int:
        """1 or 2."""

    def command(self, arguments: Sequence[str], board: Board) -> list[str]:
        """`bnnpan` with these arguments, on that board."""

    def variables(self) -> Mapping[str, str] | None:
        """Environment to run it in; None for this program's own."""

    def budget_bytes(self, budget_bytes: int) -> int:
        """What `--memory` may say at this level."""

    def notes(self, board: Board) -> list[str]:
        """What the reader of a report has to know."""


class Native:
    """Level 1."""

    number = NATIVE

    def command(self, arguments: Sequence[str], board: Board) -> list[str]:
        """This Python, with the runtime it imports."""
        return [sys.executable, "-m", "bnnpan_runtime", *arguments]

    def variables(self) -> None:
        """This program's own."""

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

    def __init__(self) -> None:
        from .aarch64.level2 import load

        self._prepared = load()

    def command(self, arguments: Sequence[str], board: Board) -> list[str]:
        """The aarch64 Python with our aarch64 wheel, under the emulator."""
        return self._prepared.command(arguments, board)

    def variables(self) -> Mapping[str, str]:
        """Nothing of this program's own but PATH."""
        return self._prepared.variables()

    def budget_bytes(self, budget_bytes: int) -> int:
        """Room for the emulator; the product does not depend on the budget."""
        return max(budget_bytes, _ROOM_BYTES)

    def notes(self, board: Board) -> list[str]:
        """What ran, what the board's system would refuse, and what emulation cannot show."""
        unseen = "memory was neither limited nor judged: under emulation it is the emulator's"
        return [*self._prepared.notes(board), unseen]


def level(number: int) -> Level:
    """The level of that number. Raises ConfigError where it cannot be had."""
    return Native() if number == NATIVE else Emulated()


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
