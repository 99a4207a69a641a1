"""Drawings of a run as SVG, which take their colours from the page's style."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from bnnpan_runtime.memory import MIB, format_size
from bnnpan_sim.report import Event, SimReport

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 96, 14, 28
_BAR = 26
_STAGES = {
    "started": "start",
    "run_started": "open the scene",
    "scene_opened": "plan",
    "plan_made": "calibrate",
    "calibrated": "tiles",
    "tiles_done": "hash, sync and name",
    "product_committed": "end",
}
"""Event -> what the run does from then on."""


def memory_chart(run: SimReport) -> str:
    """Resident memory over time against the budget; empty without samples."""
    if not run.samples:
        return ""
    duration = max(run.seconds, run.samples[-1].seconds, 0.001)
    highest = max(run.budget_bytes, *(sample.resident_bytes for sample in run.samples), run.peak_bytes or 0)
    x_scale = (WIDTH - _LEFT - _RIGHT) / duration
    y_scale = (HEIGHT - _TOP - _BOTTOM) / (1.08 * highest)

    def x(seconds: float) -> float:
        return round(_LEFT + seconds * x_scale, 1)

    def y(size_bytes: float) -> float:
        return round(HEIGHT - _BOTTOM - size_bytes * y_scale, 1)

    points = [(0.0, 0), *((sample.seconds, sample.resident_bytes) for sample in run.samples)]
    line = " ".join(f"{x(seconds)},{y(size)}" for seconds, size in points)
    floor = y(0)
    parts = [*_grid(highest, duration, x, y)]
    parts.append(f'<polygon class="area" points="{_LEFT},{floor} {line} {x(points[-1][0])},{floor}"/>')
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts += _level("budget", f"budget {format_size(run.budget_bytes)}", y(run.budget_bytes), -5)
    if run.limit_bytes < run.budget_bytes:
        parts += _level("limit", f"limit {format_size(run.limit_bytes)}", y(run.limit_bytes), -5)
    if run.peak_bytes:
        near = abs(y(run.peak_bytes) - y(run.budget_bytes)) < 14
        parts += _level("peak", f"peak {format_size(run.peak_bytes)}", y(run.peak_bytes), 13 if near else -5)
    label = f"Resident memory of {run.scenario} on {run.board}"
    return _svg(HEIGHT, label, parts)


def stage_chart(run: SimReport) -> str:
    """What the run did when, as a bar; empty where nothing was seen."""
    marks = list({event.name: event for event in reversed(run.events) if event.name in _STAGES}.values())
    marks.reverse()
    end = next((event for event in run.events if event.name == "finished"), None)
    if not marks or end is None:
        return ""
    begin = marks[0].seconds
    scale = (WIDTH - _LEFT - _RIGHT) / max(end.seconds - begin, 0.001)
    parts = []
    for number, (event, following) in enumerate(zip(marks, [*marks[1:], end], strict=True)):
        left = _LEFT + (event.seconds - begin) * scale
        width = (following.seconds - event.seconds) * scale
        parts.append(_stage(event, following, number, left, width))
    return _svg(_BAR + 4, f"Stages of {run.scenario}", parts)


def _stage(event: Event, following: Event, number: int, left: float, width: float) -> str:
    name, seconds = _STAGES[event.name], following.seconds - event.seconds
    text = f"{name} {seconds:.2f} s"
    shown = f'<text x="{left + 6:.1f}" y="18">{text}</text>' if width > 7 * len(text) else ""
    return (
        f'<g class="stage stage{number % 3}"><title>{text}</title>'
        f'<rect x="{left:.1f}" y="2" width="{max(width, 1):.1f}" height="{_BAR - 2}" rx="3"/>{shown}</g>'
    )


def outcome_bar(counts: dict[str, int]) -> str:
    """One row of a campaign: outcomes side by side, as wide as they are frequent."""
    total = sum(counts.values()) or 1
    left, parts = 0.0, []
    for outcome, count in counts.items():
        if count:
            width = 100 * count / total
            parts.append(
                f'<rect class="{outcome}" x="{left:.2f}" y="0" width="{width:.2f}" height="10">'
                f"<title>{outcome} {count}</title></rect>"
            )
            left += width
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">'
        + "".join(parts)
        + "</svg>"
    )


def _grid(highest: int, duration: float, x: object, y: object) -> Iterator[str]:
    assert callable(x) and callable(y)
    step = _round_step(highest / MIB / 4)
    for mebibytes in range(0, int(1.08 * highest / MIB) + 1, step):
        at = y(mebibytes * MIB)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{mebibytes} MiB</text>'
    for part in range(5):
        seconds = duration * part / 4
        at = x(seconds)
        yield f'<text x="{at}" y="{HEIGHT - 8}" text-anchor="middle">{seconds:.1f} s</text>'


def _round_step(wanted: float) -> int:
    """1, 2 or 5 times a power of ten, at least that much."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= wanted:
                return factor * power
        power *= 10


def _level(kind: str, text: str, at: float, shift: int) -> Iterator[str]:
    yield f'<line class="{kind}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>'
    yield f'<text class="{kind}" x="{WIDTH - _RIGHT + 4}" y="{at + 9 + shift}">{escape(text)}</text>'


def _svg(height: int, label: str, parts: list[str]) -> str:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
    return head + "".join(parts) + "</svg>"
