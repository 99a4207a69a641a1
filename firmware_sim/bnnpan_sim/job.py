"""One run of `bnnpan` on a board, at whatever level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .board import Board
from .limits.throttle import NO_THROTTLE, Throttle


@dataclass(frozen=True)
class Job:
    """What is run, and within what.

    arguments   what `bnnpan` is told
    outputs     files among them that it makes
    disk_bytes  room on the disk that it writes to; None is all there is
    happened    told of what happens as it happens: name and detail
    watch       called every few milliseconds, at levels 1 and 2
    """

    arguments: Sequence[str]
    board: Board
    limit_bytes: int
    timeout_seconds: float = 600.0
    throttle: Throttle = NO_THROTTLE
    outputs: tuple[Path, ...] = ()
    disk_bytes: int | None = None
    happened: Callable[[str, str], None] = lambda name, detail: None
    watch: Callable[[], None] = lambda: None
