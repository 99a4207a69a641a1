"""When a run has to stop computing, so that its product is on the disk in time."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from bnnpan_runtime.contract import Window
from bnnpan_runtime.memory import KIB

__all__ = ["Deadline", "Progressing", "Urgency", "parse_seconds"]

Clock = Callable[[], float]
_T = TypeVar("_T")

_UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)

_PROBE_BYTES = 256 * KIB
"""Hashed at a time, to learn how fast that is and while the product is hashed."""

_PROBES = 8

_LEAST_SYNC_SECONDS = 0.2
"""For a disk that has not been waited for yet."""

_CAUTION = 1.5
"""Times the measured time that the end of a run is given: caches that were warm may be cold then."""


def parse_seconds(text: str | float) -> float:
    """Seconds of "90s", "2m", "1.5h" or a plain number. Raises ValueError for anything else, and for 0."""
    match = _DURATION.fullmatch(str(text))
    seconds = float(match[1]) * _UNITS.get(match[2].lower(), 0.0) if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time; write it like 90s, 2m or 1.5h")
    return seconds


@dataclass(frozen=True)
class Urgency:
    """How long a run may take, and what it does first.

    deadline_seconds  from the call on; None for as long as it takes
    extent            west, south, east, north of what comes first, in the coordinate system of PAN
    window            what comes first in PAN pixels
    clock             seconds; another one is for tests
    """

    deadline_seconds: float | None = None
    extent: tuple[float, float, float, float] | None = None
    window: Window | None = None
    clock: Clock = time.monotonic

    @property
    def orders(self) -> bool:
        """Whether tiles come in the order of their worth instead of row by row."""
        return self.deadline_seconds is not None or self.extent is not None or self.window is not None


class Progressing(Protocol):
    """What a deadline has to know of a product under way."""

    slowest_checkpoint_seconds: float

    @property
    def written(self) -> Path:
        """The file."""
        ...

    @property
    def unrecorded_bytes(self) -> int:
        """What the next checkpoint has to read back."""
        ...


class Deadline:
    """Counts from when it is made."""

    def __init__(self, urgency: Urgency) -> None:
        self.seconds, self._clock = urgency.deadline_seconds, urgency.clock
        self._started = self._clock() if self.seconds is not None else 0.0
        self._last, self._slowest_tile = self._started, 0.0
        self._hash_seconds_per_byte = 0.0
        self._file_bytes = 0

    def tiles_begin(self, product: Progressing) -> None:
        """The product is laid out: look how fast it can be hashed, which is most of what comes at the end."""
        if self.seconds is None:
            return
        self._file_bytes = product.written.stat().st_size
        done, begun = 0, self._clock()
        with product.written.open("rb", buffering=0) as file:
            for _ in range(_PROBES):
                piece = file.read(_PROBE_BYTES)
                hashlib.sha256(piece).digest()
                done += len(piece)
        self._last = self._clock()
        self._hash_seconds_per_byte = (self._last - begun) / max(done, 1)

    def tiles_in_time(self, tiles: Iterator[_T], product: Progressing) -> Iterator[_T]:
        """As many of the tiles as there is time for."""
        while not self.has_come(product):
            tile = next(tiles, None)
            if tile is None:
                return
            yield tile

    def has_come(self, product: Progressing) -> bool:
        """Whether the next tile would leave too little time to end; to be asked before each tile."""
        if self.seconds is None:
            return False
        now = self._clock()
        self._slowest_tile = max(self._slowest_tile, now - self._last)
        self._last = now
        return now + self._slowest_tile + self.ending_seconds(product) > self._started + self.seconds

    def ending_seconds(self, product: Progressing) -> float:
        """What a checkpoint, hashing the file and the last waits for the disk take, by what was measured."""
        hashing = (self._file_bytes + product.unrecorded_bytes) * self._hash_seconds_per_byte
        return _CAUTION * hashing + 2 * max(product.slowest_checkpoint_seconds, _LEAST_SYNC_SECONDS)
