"""Telemetry: one table of events and channels, and everything that is made from it.

`table` declares, `emit` is the seam, `narrate` tells the stages of a run, and sinks write: `json_lines`,
`space_packets`, `heartbeat`, `steps`. `reference` writes the tables of `docs/telemetry.md`.
"""

from __future__ import annotations

from bnnpan_runtime.telemetry.emit import SILENT, Happening, Record, Recorder, Sample, Sink, Telemetry

__all__ = ["SILENT", "Happening", "Record", "Recorder", "Sample", "Sink", "Telemetry"]
