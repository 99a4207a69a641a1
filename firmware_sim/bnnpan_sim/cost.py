"""What a board would take for a megapixel: estimated from instructions and cycle models, never measured.

Cycles are llvm-mca's for the executed instructions of each stage: data in the first-level cache, branches
predicted, so a lower bound. Memory is taken to move at half of its theoretical peak. See docs/sim.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError

from .board import Board
from .toml_file import Table

STAGES = ("lms", "head", "trunk", "tail", "quantise")
"""Of one tile, DN to DN."""

WINDOW_PIXELS = 256 * 16
"""PAN pixels that the recorded costs are for (tests/arm/costs.py)."""

_BYTES_PER_PIXEL = 64
"""Memory traffic of a PAN pixel: an allowance. DN of PAN, MS and four product bands are 11 bytes, each moved
some times by the raster library and the tile; features stay in the caches."""

_SUSTAINED = 0.5
"""Share of a bus's theoretical peak that one processor gets: an allowance."""

_LOSS = 2.0
"""Likely time over llvm-mca's bound: an allowance, to be replaced when a board has been measured."""

ASSUMPTIONS = (
    "an estimate, not a measurement: nothing of this has run on the board",
    "best: llvm-mca's cycles for the executed instructions, all data in the first-level cache, all branches "
    f"predicted; likely: {_LOSS:g} times that, an allowance that no board has confirmed",
    f"memory: {_BYTES_PER_PIXEL} bytes per PAN pixel at half of the bus's theoretical peak; the larger of "
    "computing and memory counts",
    "calibration, reading and writing files are left out; threads share nothing but the memory",
    "joules: the likely seconds times the board's power under load, all of it, with idle parts",
)


@dataclass(frozen=True)
class Estimate:
    """Per megapixel of PAN on a board, with so many threads; a range, since that is what is known."""

    board: str
    core: str
    threads: int
    channels: int
    best_seconds: float
    likely_seconds: float
    likely_joules: float | None
    instructions: float
    bound_by: str


@dataclass(frozen=True)
class Measured:
    """What a real board took, entered by hand or out of `bnnpan bench --json`."""

    board: str
    threads: int
    seconds: float
    joules: float | None
    source: str


def estimate(board: Board, costs: Mapping[str, Any], threads: int, channels: int = 32) -> Estimate:
    """Seconds and joules per megapixel. Raises ConfigError where the profile lacks what that takes."""
    if board.clock_mhz is None or board.cost_model is None:
        raise ConfigError(f"board {board.name}: an estimate needs 'clock_mhz' and 'cost_model' in it")
    stages = [costs["costs"][f"{stage}/{channels}"] for stage in STAGES]
    if board.cost_model not in stages[0]["cycles"]:
        known = ", ".join(stages[0]["cycles"])
        raise ConfigError(f"board {board.name}: 'cost_model' is {board.cost_model!r}; known are {known}")
    windows = 1e6 / WINDOW_PIXELS
    working = min(threads, board.cores)
    cycles = windows * sum(stage["cycles"][board.cost_model] for stage in stages)
    best = cycles / (board.clock_mhz * 1e6) / working
    moving = 0.0
    if board.memory_mb_per_second is not None:
        moving = 1e6 * _BYTES_PER_PIXEL / (board.memory_mb_per_second * 1e6 * _SUSTAINED)
    likely = max(best * _LOSS, moving)
    return Estimate(
        board=board.name,
        core=board.cpu,
        threads=working,
        channels=channels,
        best_seconds=best,
        likely_seconds=likely,
        likely_joules=None if board.busy_watts is None else likely * board.busy_watts,
        instructions=windows * sum(stage["instructions"] for stage in stages),
        bound_by="memory" if moving > best * _LOSS else "computing",
    )


def load_costs() -> dict[str, Any]:
    """The recorded costs: those of tests/arm, which the package links to."""
    path = Path(__file__).with_name("arm_costs.json")
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; install the package anew") from error
    return value


def read_measured(path: Path) -> list[Measured]:
    """Real boards' values: a TOML file with [[measured]] tables, or the JSON of `bnnpan bench`.

    Of the bench the name of the file is the board's, and the native backend's row counts. Raises ConfigError.
    """
    if path.suffix == ".json":
        return list(_of_bench(path))
    table = Table.read(path)
    rows = []
    for one in table.take_tables("measured"):
        rows.append(
            Measured(
                one.take("board", str),
                one.take_positive("threads"),
                one.take("seconds_per_megapixel", float),
                one.take_optional("joules_per_megapixel", float),
                one.take("source", str),
            )
        )
        one.finish()
    table.finish()
    return rows


def to_json(
    estimates: Sequence[Estimate], measured: Sequence[Measured], costs: Mapping[str, Any]
) -> dict[str, Any]:
    """Plain JSON value; what is estimated and what is measured never share a key."""
    return {
        "estimates": [asdict(one) for one in estimates],
        "measured": [asdict(one) for one in measured],
        "assumptions": list(ASSUMPTIONS),
        "compiler": costs["compiler"],
        "llvm": costs["llvm"],
    }


def _of_bench(path: Path) -> Iterator[Measured]:
    """The fastest whole tile of the native backend for each number of threads."""
    try:
        rows = json.loads(path.read_text())["rows"]
        speeds: dict[int, float] = {}
        for row in rows:
            speed = row.get("pan_pixels_per_second")
            if row["stage"] == "tile" and row["backend"].startswith("native") and speed:
                threads = int(row["threads"])
                speeds[threads] = max(speeds.get(threads, 0.0), float(speed))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not the JSON of `bnnpan bench --json` ({error!r})") from error
    if not speeds:
        raise ConfigError(f"{path}: the bench has no row for whole tiles of the native backend")
    for threads, speed in sorted(speeds.items()):
        yield Measured(path.stem, threads, 1e6 / speed, None, f"bnnpan bench, {path.name}")
