"""The result as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bnnpan_runtime.bench.rows import Machine, Report, Row, SceneRow
from bnnpan_runtime.memory import format_size

__all__ = ["table"]

_HEADING = (
    f"{'stage':10}{'backend':24}{'threads':>8}{'ms':>10}{'spread':>8}{'MPix/s':>9}{'x ORT':>8}{'of peak':>9}"
)


_QUIET = 0.1
"""Cores that a computer may keep busy by itself."""


def table(report: Report) -> str:
    """All of it as text."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield from _machine_lines(report.machine)
    ran = [row for row in report.rows if row.median_seconds is not None]
    for (channels, tile), rows in groupby(ran, lambda row: (row.channels, row.tile)):
        yield ""
        yield f"{channels} channels, windows of {tile} x {tile} pixels"
        yield _HEADING
        yield from map(_row_line, rows)
    if report.scenes:
        yield ""
        yield from _scene_lines(report.scenes)
    absent = _absent_lines([row for row in report.rows if row.median_seconds is None])
    if absent:
        yield ""
        yield "not run"
        yield from absent


def _machine_lines(machine: Machine) -> Iterator[str]:
    yield f"{machine.cpu}, {machine.cores} core{'s' * (machine.cores > 1)}"
    if machine.busy_cores > _QUIET:
        yield f"  other work kept {machine.busy_cores:.1f} cores busy: figures are rough"
    for isa, (binary, fused) in machine.isa_peaks.items():
        yield f"  peak of {isa:9} {binary / 1e9:8.1f} G/s 1-bit {fused / 1e9:8.1f} G/s float32, one thread"
    yield "  " + ", ".join(f"{name} {version}" for name, version in machine.software.items())


def _row_line(row: Row) -> str:
    seconds, speed = row.median_seconds or 0.0, row.pan_pixels_per_second or 0.0
    times = row.times_faster_than_ort_float32
    return (
        f"{row.stage:10}{row.backend:24}{row.threads:8}{1e3 * seconds:10.3f}"
        f"{_percent(row.relative_spread):>8}{speed / 1e6:9.2f}"
        f"{'' if times is None else f'{times:.1f}':>8}{_percent(row.share_of_peak):>9}"
    )


def _scene_lines(rows: Sequence[SceneRow]) -> Iterator[str]:
    yield f"whole processes, scene of {rows[0].size} x {rows[0].size} pixels; speeds without start-up"
    yield (
        f"{'':10}{'threads':>8}{'tile':>6}{'s':>8}{'CPU s':>8}{'MPix/s':>9}{'per CPU s':>11}{'peak':>10}"
        f"{'of tiles':>10}"
    )
    for row in rows:
        yield (
            f"{row.what:10}{row.threads:8}{row.tile or '':>6}{row.seconds:8.2f}{row.cpu_seconds:8.2f}"
            f"{_millions(row.pan_pixels_per_second_after_start):>9}"
            f"{_millions(row.pan_pixels_per_cpu_second_after_start):>11}"
            f"{format_size(row.peak_bytes) if row.peak_bytes else '':>10}"
            f"{_percent(row.share_of_tile_throughput):>10}"
        )


def _absent_lines(rows: Sequence[Row]) -> list[str]:
    """Every competitor and reason once, with the windows it concerns."""
    places: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        place = f"{row.channels}/{row.tile}"
        found = places.setdefault((row.backend, row.reason or ""), [])
        if place not in found:
            found.append(place)
    return [
        f"  {backend:24}{reason} (channels/window {', '.join(found)})"
        for (backend, reason), found in places.items()
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _millions(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:.2f}"
