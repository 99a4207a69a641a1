"""What a simulated run leaves behind: a timeline, figures, and which expectations were not met."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

LEVEL = 1
"""Level 1: this machine's native program under the board's limits. Seconds say nothing about the board."""


@dataclass(frozen=True)
class Event:
    """Something that happened, `seconds` after the simulation began."""

    seconds: float
    name: str
    detail: str


class Timeline:
    """Collects events."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._events: list[Event] = []

    def add(self, name: str, detail: str = "") -> None:
        """Note an event now."""
        self._events.append(Event(round(time.monotonic() - self._begin, 3), name, detail))

    def events(self) -> tuple[Event, ...]:
        """All so far, in order."""
        return tuple(self._events)


@dataclass(frozen=True)
class SimReport:
    """The JSON of `bnnpan sim run --json`.

    enforced_by           `cgroup v2`, `cgroup v1` or `watchdog`
    exit_code             as a shell shows it, 137 for SIGKILL
    peak_bytes            largest resident set of the process, seen from outside
    charged_peak_bytes    what the means of enforcement counted; a cgroup's includes page cache, which it
                          takes back before it kills, so that it may reach the limit in a good run
    predicted_peak_bytes  by the run itself, None if it did not finish
    measured_peak_bytes   by the run itself, None if it did not finish
    message               last line the run wrote to standard error
    failures              one line per expectation that was not met
    """

    scenario: str
    summary: str
    level: int
    board: str
    enforced_by: str
    passed: bool
    exit_code: int
    killed: bool
    budget_bytes: int
    limit_bytes: int
    peak_bytes: int
    charged_peak_bytes: int
    predicted_peak_bytes: int | None
    measured_peak_bytes: int | None
    product_sha256: str | None
    seconds: float
    cpu_seconds: float
    message: str
    failures: tuple[str, ...]
    events: tuple[Event, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)
