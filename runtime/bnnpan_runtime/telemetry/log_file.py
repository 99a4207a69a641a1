"""A file that records are appended to, which never stands in a run's way."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from bnnpan_runtime.errors import OutputError, one_line

__all__ = ["LogFile"]

_log = logging.getLogger(__name__)


class LogFile:
    """Appends whole records, each by one call of the system: what is written survives the process.

    A run goes on without its log if the disk is full or the reader has gone; a warning tells. Raises
    OutputError if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        """Open or create `path`; "-" is standard output."""
        self._name = str(path)
        try:
            self._descriptor = (
                os.dup(1)
                if self._name == "-"
                else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            )
        except OSError as error:
            raise OutputError(f"{path}: telemetry cannot be written ({one_line(error)})") from error
        self._works = True

    def append(self, record: bytes) -> None:
        """Write one record, if the file still works."""
        if not self._works:
            return
        written = 0
        try:
            while written < len(record):
                written += os.write(self._descriptor, record[written:])
        except OSError as error:
            self._works = False
            self._take_back(written)
            _log.warning("%s: telemetry ends here (%s)", self._name, one_line(error))

    def _take_back(self, written: int) -> None:
        """Remove half a record from the end: the next run appends to this file."""
        with suppress(OSError):  # a pipe has no end
            if written:
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
