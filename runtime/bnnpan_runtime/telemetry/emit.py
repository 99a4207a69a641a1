"""How a run tells what happens: the seam, what it costs nothing to leave silent, and the usual recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

from bnnpan_runtime.telemetry.table import CHANNELS, Channel, Event, Kind, Value

__all__ = ["SILENT", "Happening", "Record", "Recorder", "Sample", "Sink", "Telemetry"]

_CHANNELS = {channel.name: channel for channel in CHANNELS}

_TYPES: Mapping[Kind, tuple[type, ...]] = {"f64": (int, float), "text": (str,)}
_LARGEST: Mapping[Kind, int] = {"u8": 2**8, "u16": 2**16, "u32": 2**32, "u64": 2**64}


class Telemetry(Protocol):
    """What a run is given to tell what happens. Calls may come from any thread."""

    def emit(self, event: Event, **values: Value) -> None:
        """An event of the table happened, with its arguments by name."""
        ...

    def sample(self, **values: Value) -> None:
        """Values of channels, by name."""
        ...


class _Silent:
    def emit(self, event: Event, **values: Value) -> None:
        pass

    def sample(self, **values: Value) -> None:
        pass


SILENT: Telemetry = _Silent()
"""Nobody listens."""


@dataclass(frozen=True)
class Happening:
    """An event, its time (nanoseconds since 1970, UTC) and its arguments in the table's order."""

    time_ns: int
    event: Event
    values: Mapping[str, Value]

    @property
    def message(self) -> str:
        """The event in words."""
        return self.event.message(**self.values)


@dataclass(frozen=True)
class Sample:
    """Channels and their values at a time (nanoseconds since 1970, UTC)."""

    time_ns: int
    values: Mapping[Channel, Value]


Record = Happening | Sample
Sink = Callable[[Record], None]
"""Takes each record in turn."""


class Recorder:
    """Telemetry that stamps the time, checks against the table, and hands records to sinks.

    Raises TypeError or ValueError for what the table does not declare: a defect of the caller.
    """

    def __init__(self, *sinks: Sink, clock: Callable[[], int] = time.time_ns) -> None:
        self._sinks, self._clock = sinks, clock
        self._lock = RLock()  # a sink that warns is heard, too

    def emit(self, event: Event, **values: Value) -> None:
        """Record an event."""
        names = [argument.name for argument in event.arguments]
        if set(values) != set(names):
            raise TypeError(f"{event.name} takes {', '.join(names) or 'nothing'}, not {', '.join(values)}")
        for argument in event.arguments:
            _check(f"{event.name}.{argument.name}", argument.kind, values[argument.name])
        self._hand_on(Happening(self._clock(), event, {name: values[name] for name in names}))

    def sample(self, **values: Value) -> None:
        """Record values of channels."""
        for name, value in values.items():
            if name not in _CHANNELS:
                raise TypeError(f"there is no channel {name}")
            _check(name, _CHANNELS[name].kind, value)
        self._hand_on(Sample(self._clock(), {_CHANNELS[name]: value for name, value in values.items()}))

    def _hand_on(self, record: Record) -> None:
        with self._lock:
            for sink in self._sinks:
                sink(record)


def _check(name: str, kind: Kind, value: Value) -> None:
    if isinstance(value, bool) or not isinstance(value, _TYPES.get(kind, (int,))):
        raise TypeError(f"{name} is {value!r}, must be {kind}")
    if kind in _LARGEST and not 0 <= int(value) < _LARGEST[kind]:
        raise ValueError(f"{name} is {value}, does not fit {kind}")
