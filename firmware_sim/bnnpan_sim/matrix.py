"""Many runs: boards x bundles x scene sizes x budgets, with a result file for each, so that it can go on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import BnnpanError, BudgetError, ConfigError, OutputError
from bnnpan_runtime.memory import MIB, format_size, parse_size

from .board import load_board
from .levels import WHOLE_BOARD as WHOLE_BOARD_LEVEL
from .levels import Native
from .report import SimReport
from .run import run_scenario
from .scenario import Scenario
from .scenes import SceneFiles, SynthScene, last_line, scene_files

WHOLE_BOARD = "board"
"""Budget that is all the board leaves to an application."""

MADE, REFUSED, NO_ROOM, FAILED = "made", "refused", "no room", "failed"
"""A product within the budget; a refusal by the planner; a budget the board does not have; anything else."""


@dataclass(frozen=True)
class Cell:
    """One run of the matrix, in words; `budget` like "128MiB", or "board"."""

    board: str
    bundle: str
    size: int
    budget: str

    @property
    def file_name(self) -> str:
        """Name of its result file."""
        words = f"{self.board}-{Path(self.bundle).stem}-{self.size}-{self.budget}"
        return f"{words}-{hashlib.sha256(repr(self).encode()).hexdigest()[:6]}.json"


@dataclass(frozen=True)
class CellResult:
    """What came of it; `report` is None where nothing was run."""

    cell: Cell
    status: str
    detail: str
    report: SimReport | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> CellResult:
        """What `to_json` gave. Raises ConfigError."""
        try:
            report = value["report"]
            return cls(
                Cell(**value["cell"]),
                value["status"],
                value["detail"],
                None if report is None else SimReport.from_json(report, where),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{where}: not a result of `bnnpan sim matrix` ({error!r})") from error


def cells(
    boards: Sequence[str], bundles: Sequence[str], sizes: Sequence[int], budgets: Sequence[str]
) -> Iterator[Cell]:
    """All combinations, boards outermost."""
    for board in boards:
        for bundle in bundles:
            for size in sizes:
                for budget in budgets:
                    yield Cell(board, bundle, size, budget)


def run_matrix(
    wanted: Sequence[Cell],
    results: Path,
    work: Path,
    *,
    jobs: int,
    boards: Path | None = None,
    level: int = 1,
    progress: Callable[[CellResult], None] = lambda result: None,
) -> list[CellResult]:
    """Run what has no result file in `results` yet, `jobs` at a time as far as this machine's memory goes."""
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{results}: {error.strerror}; choose another folder") from error
    room = _Room(_available_bytes())
    making = threading.Lock()

    def one(cell: Cell) -> CellResult:
        path = results / cell.file_name
        if path.is_file():
            return CellResult.from_json(json.loads(path.read_text()), str(path))
        result = _run(cell, work, boards, level, room, making)
        fresh = path.with_suffix(".fresh")
        fresh.write_text(json.dumps(result.to_json(), indent=1) + "\n")
        fresh.replace(path)
        progress(result)
        return result

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, wanted))


def _run(
    cell: Cell, work: Path, boards: Path | None, level: int, room: _Room, making: threading.Lock
) -> CellResult:
    board = load_board(cell.board, boards)
    try:
        budget_bytes = board.application_bytes if cell.budget == WHOLE_BOARD else parse_size(cell.budget)
    except ValueError as error:
        raise BudgetError(str(error)) from error
    if budget_bytes > board.application_bytes:
        left = format_size(board.application_bytes)
        return CellResult(cell, NO_ROOM, f"{board.name} leaves {left} to an application", None)
    scenario = Scenario(
        name=f"{cell.board}, {cell.size} x {cell.size}, {cell.budget}",
        board=board,
        budget_bytes=budget_bytes,
        memory_limit_bytes=budget_bytes,
        scene=_scene(cell, work, making),
        bundle=cell.bundle,
        level=level,
    )
    try:
        with room.taken(budget_bytes if level != WHOLE_BOARD_LEVEL else board.ram_mib * MIB):
            report = run_scenario(scenario, work)
    except BnnpanError as error:
        return CellResult(cell, FAILED, str(error), None)
    if report.passed:
        return CellResult(cell, MADE, report.message, report)
    refusal = _refusal(scenario, report)
    if refusal is not None:
        return CellResult(cell, REFUSED, refusal, report)
    return CellResult(cell, FAILED, "; ".join(report.failures), report)


def _refusal(scenario: Scenario, report: SimReport) -> str | None:
    """What the planner says against the budget; None where it has nothing against it.

    A limit below what the program itself takes ends it before it can speak: then it is asked without one.
    """
    if report.exit_code == BudgetError.exit_code and report.product_sha256 is None:
        return report.message
    if not report.killed or not isinstance(scenario.scene, SceneFiles):
        return None
    words = ["plan", "--pan", str(scenario.scene.pan), "--ms", str(scenario.scene.ms)]
    words += ["--bundle", scenario.bundle, "--memory", str(scenario.budget_bytes)]
    command = Native().command(words, scenario.board)
    planned = subprocess.run(command, capture_output=True, text=True, check=False)
    return last_line(planned.stderr) if planned.returncode == BudgetError.exit_code else None


def _scene(cell: Cell, work: Path, making: threading.Lock) -> SceneFiles:
    """Of the bands and ratio that the bundle is for; made by one thread, the others wait."""
    from bnnpan_runtime.bundle import Bundle

    manifest = Bundle.open(cell.bundle).manifest
    with making:
        wanted = SynthScene(cell.size, seed=1, bands=len(manifest.band_roles), ratio=manifest.network.ratio)
        return scene_files(wanted, work / "scenes")


class _Room:
    """This machine's memory, lent to runs; one that asks for more than there is runs alone."""

    def __init__(self, whole_bytes: int) -> None:
        self._whole_bytes = self._free_bytes = whole_bytes
        self._changed = threading.Condition()

    def taken(self, size_bytes: int) -> _Lease:
        """A context in which that much is taken."""
        return _Lease(self, min(size_bytes, self._whole_bytes))

    def move(self, change_bytes: int) -> None:
        """Take (negative) or give back; waits until there is enough."""
        with self._changed:
            self._changed.wait_for(lambda: self._free_bytes + change_bytes >= 0)
            self._free_bytes += change_bytes
            self._changed.notify_all()


class _Lease:
    def __init__(self, room: _Room, size_bytes: int) -> None:
        self._room, self._size_bytes = room, size_bytes

    def __enter__(self) -> None:
        self._room.move(-self._size_bytes)

    def __exit__(self, *_: object) -> None:
        self._room.move(self._size_bytes)


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 1 << 30
