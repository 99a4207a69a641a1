"""Where the telemetry of one run goes, opened together and closed together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.telemetry.emit import Recorder, Sink, Telemetry
from bnnpan_runtime.telemetry.heartbeat import Heartbeat
from bnnpan_runtime.telemetry.json_lines import JsonLines
from bnnpan_runtime.telemetry.log_file import LogFile
from bnnpan_runtime.telemetry.space_packets import APID, SpacePackets
from bnnpan_runtime.telemetry.table import WARNED

__all__ = ["Outputs"]


@dataclass(frozen=True)
class Outputs:
    """Files a run tells itself to: JSON lines, space packets of an APID, heartbeat; None where not wanted."""

    events: Path | None = None
    packets: Path | None = None
    apid: int = APID
    heartbeat: Path | None = None

    @property
    def events_on_stdout(self) -> bool:
        """Whether standard output belongs to the events."""
        return self.events == Path("-")

    def check_apart(self, *taken: Path) -> None:
        """Raise OutputError if two outputs share a file, or one is `taken` by the run: it would spoil."""
        files = {path.resolve() for path in taken}
        for path in (self.events, self.packets, self.heartbeat):
            if path is None or path == Path("-") or (path.exists() and not path.is_file()):
                continue  # devices and pipes may be shared
            if path.resolve() in files:
                raise OutputError(f"{path} has another part in this run; give telemetry a file of its own")
            files.add(path.resolve())

    @contextmanager
    def opened(self, *others: Sink) -> Iterator[Telemetry]:
        """Telemetry to these files and to other sinks; warnings that are logged meanwhile are in it, too.

        Raises OutputError if a file cannot be opened.
        """
        with ExitStack() as stack:
            sinks = [*others]
            if self.events is not None:
                sinks.append(JsonLines(stack.enter_context(closing(LogFile(self.events))).append))
            if self.packets is not None:
                sinks.append(
                    SpacePackets(stack.enter_context(closing(LogFile(self.packets))).append, self.apid)
                )
            if self.heartbeat is not None:
                sinks.append(Heartbeat(self.heartbeat))
            recorder = Recorder(*sinks)
            stack.enter_context(_warnings_told(recorder))
            yield recorder


class _Teller(logging.Handler):
    """Turns what is logged into events."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(logging.WARNING)
        self._telemetry = telemetry

    def emit(self, record: logging.LogRecord) -> None:
        self._telemetry.emit(WARNED, source=record.name, message=" ".join(record.getMessage().split()))


@contextmanager
def _warnings_told(telemetry: Telemetry) -> Iterator[None]:
    logger, teller = logging.getLogger("bnnpan_runtime"), _Teller(telemetry)
    logger.addHandler(teller)
    try:
        yield
    finally:
        logger.removeHandler(teller)
