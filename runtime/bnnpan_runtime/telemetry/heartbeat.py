"""A sign of life for watchdogs: a file, and systemd's socket where it asks for one, as long as work proceeds.

Beats come with the records of a run, so that a run that hangs, in a computation or on a disk, falls silent:
nothing beats by the clock alone.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from bnnpan_runtime.errors import OutputError, one_line
from bnnpan_runtime.telemetry.emit import Happening, Record
from bnnpan_runtime.telemetry.table import (
    DEADLINE_REACHED,
    FAILED,
    PRODUCT_COMMITTED,
    SIGNALLED,
    TILES_DONE,
)

__all__ = ["SHORTEST_SECONDS", "Heartbeat"]

SHORTEST_SECONDS = 1.0
"""Between two beats, so that flash memory does not wear out."""

_ENDS = (PRODUCT_COMMITTED, DEADLINE_REACHED, FAILED, SIGNALLED)
"""Nothing comes after these: who looks later should find them."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """A sink that replaces `path` atomically by a small JSON object, at most once a second and at the end.

    The object holds `time` (seconds since 1970), `pid`, `last` (the last event) and `tiles_done`. Raises
    OutputError if the file cannot be written at first; later it only grows old, for a watchdog to see.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")
        self._last, self._tiles_done = "", 0
        self._beat_at = clock()
        try:
            self._write()
        except OSError as error:
            raise OutputError(f"{path}: the heartbeat cannot be written ({one_line(error)})") from error

    def __call__(self, record: Record) -> None:
        """Beat, unless the last beat is younger than a second and the run goes on."""
        ends = isinstance(record, Happening) and record.event in _ENDS
        if isinstance(record, Happening):
            self._last = record.event.name
        else:
            self._tiles_done = int(record.values.get(TILES_DONE, self._tiles_done))
        if not ends and self._clock() - self._beat_at < SHORTEST_SECONDS:
            return
        self._beat_at = self._clock()
        try:
            self._write()
        except OSError as error:
            _log.warning("%s: no heartbeat (%s)", self._path, one_line(error))
        _tell_systemd()

    def _write(self) -> None:
        state = {
            "time": time.time(),
            "pid": os.getpid(),
            "last": self._last,
            "tiles_done": self._tiles_done,
        }
        self._draft.write_text(json.dumps(state) + "\n", encoding="ascii")
        os.replace(self._draft, self._path)


def _tell_systemd() -> None:
    """sd_notify(3): `WATCHDOG=1` to the socket in the environment, where a service has `WatchdogSec=`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(b"WATCHDOG=1", address)
    except OSError as error:
        _log.warning("systemd's watchdog cannot be told (%s)", one_line(error))
