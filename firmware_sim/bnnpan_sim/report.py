"""What a simulated run leaves behind: a timeline, figures, and which expectations were not met."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError

from .limits import Sample

_DETAILS = frozenset({"plan_term", "band_calibrated", "scene_assumed"})


@dataclass(frozen=True)
class Event:
    """Something that happened, `seconds` after the simulation began."""

    seconds: float
    name: str
    detail: str


class Timeline:
    """Collects events: those seen from outside, and those that the run tells of itself.

    `tell` is told of the former as they happen.
    """

    def __init__(self, tell: Callable[[Event], None] = lambda event: None) -> None:
        self._tell = tell
        self._begin, self._begin_of_day = time.monotonic(), time.time()
        self._events: list[Event] = []

    def add(self, name: str, detail: str = "") -> None:
        """Note an event now."""
        event = Event(round(time.monotonic() - self._begin, 3), name, detail)
        self._events.append(event)
        self._tell(event)

    def add_told(self, log: Path) -> None:
        """Events out of the file of `bnnpan fuse --events`; of the tiles only the last is one."""
        last_tile: Event | None = None
        for line in log.read_text(errors="replace").splitlines() if log.is_file() else ():
            try:
                value = json.loads(line)
                seconds = datetime.fromisoformat(value["time"]).timestamp() - self._begin_of_day
                event = Event(round(seconds, 3), value["event"], value["message"])
            except (ValueError, KeyError, TypeError):  # samples of channels, and a line cut short by a kill
                continue
            if event.name == "tile_done":
                last_tile = Event(event.seconds, "tiles_done", event.detail)
            elif event.name not in _DETAILS:
                self._events.append(event)
        self._events += [last_tile] if last_tile else []

    def events(self) -> tuple[Event, ...]:
        """All so far, in order."""
        return tuple(sorted(self._events, key=lambda event: event.seconds))


@dataclass(frozen=True)
class FaultResult:
    """One fault of a scenario and what came of it; `repeat` is the command that does it again."""

    kind: str
    seed: int
    outcome: str
    detail: str
    repeat: str


@dataclass(frozen=True)
class SimReport:
    """The JSON of `bnnpan sim run --json`.

    level                 1 native under limits, 2 the board's instructions under emulation, 3 a whole board
    enforced_by           `cgroup v2`, `cgroup v1`, `watchdog`, `nothing` at level 2, the kernel at level 3
    exit_code             as a shell shows it, 137 for SIGKILL
    peak_bytes            largest resident set of the process, seen from outside; None at level 2
    charged_peak_bytes    what the means of enforcement counted; a cgroup's includes page cache, which it
                          takes back before it kills, so that it may reach the limit in a good run
    predicted_peak_bytes  by the run itself, None if it did not finish
    measured_peak_bytes   by the run itself, None if it did not finish
    seconds, cpu_seconds  of this machine, not of the board; at level 3 without the time to boot
    message               last line the run wrote to standard error
    notes                 limits besides memory, those that could not be set, and what to know of the level
    failures              one line per expectation that was not met
    samples               resident memory over time
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
    peak_bytes: int | None
    charged_peak_bytes: int
    predicted_peak_bytes: int | None
    measured_peak_bytes: int | None
    product_sha256: str | None
    seconds: float
    cpu_seconds: float
    message: str
    failures: tuple[str, ...]
    events: tuple[Event, ...]
    notes: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    faults: tuple[FaultResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> SimReport:
        """The report that `to_json` gave. Raises ConfigError."""
        try:
            known = {field.name: value[field.name] for field in fields(cls)}
            known["events"] = tuple(Event(**event) for event in known["events"])
            known["samples"] = tuple(Sample(**sample) for sample in known["samples"])
            known["faults"] = tuple(FaultResult(**fault) for fault in known["faults"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{where}: not a report of `bnnpan sim run --json` ({error!r})") from error
        return cls(**{**known, "failures": tuple(known["failures"]), "notes": tuple(known["notes"])})
