"""The log as JSON lines: one object per record, readable while the run goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bnnpan_runtime.telemetry.emit import Happening, Record
from bnnpan_runtime.telemetry.table import Value

__all__ = ["JsonLines", "json_value"]


class JsonLines:
    """A sink that writes each record as one line through `append`."""

    def __init__(self, append: Callable[[bytes], None]) -> None:
        self._append = append

    def __call__(self, record: Record) -> None:
        """Write a record."""
        self._append(json.dumps(json_value(record), ensure_ascii=False, allow_nan=False).encode() + b"\n")


def json_value(record: Record) -> dict[str, Any]:
    """A record as a JSON value: an event with its words and values, or the values of channels."""
    seconds, nanoseconds = divmod(record.time_ns, 10**9)
    date = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    time = f"{date}.{nanoseconds // 10**6:03d}Z"
    if isinstance(record, Happening):
        return {
            "time": time,
            "id": record.event.id,
            "event": record.event.name,
            "severity": record.event.severity.name.lower(),
            "message": _printable(record.message),
            "values": {name: _plain(value) for name, value in record.values.items()},
        }
    return {
        "time": time,
        "channels": {channel.name: _plain(value) for channel, value in record.values.items()},
    }


def _plain(value: Value) -> Value | None:
    """JSON knows neither infinities nor NaN, and UTF-8 no lone surrogates, as undecodable file names have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _printable(value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
