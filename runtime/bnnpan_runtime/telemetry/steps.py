"""Progress as steps done and in all, from the same events as the log."""

from __future__ import annotations

from collections.abc import Callable

from bnnpan_runtime.telemetry.emit import Happening, Record
from bnnpan_runtime.telemetry.table import PLAN_MADE, RESUMED, TILE_DONE, TILE_SKIPPED

__all__ = ["Steps"]


class Steps:
    """A sink that calls `advance` with the tiles done and in all, whenever there is one more."""

    def __init__(self, advance: Callable[[int, int], None]) -> None:
        self._advance, self._tiles = advance, 1
        self._kept, self._done = 0, set[int]()

    def __call__(self, record: Record) -> None:
        """Take note of a record."""
        if not isinstance(record, Happening):
            return
        if record.event is PLAN_MADE:
            self._tiles = int(record.values["tiles"])
        elif record.event is RESUMED:
            self._kept = int(record.values["tiles_kept"])
        elif record.event in (TILE_DONE, TILE_SKIPPED):
            self._done.add(int(record.values["tile"]))  # a tile may be made again
        else:
            return
        if self._kept or self._done:
            self._advance(min(self._kept + len(self._done), self._tiles), self._tiles)
