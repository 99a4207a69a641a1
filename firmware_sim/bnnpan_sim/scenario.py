"""Scenarios: what is run on which board, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.memory import format_size

from .board import Board, load_board
from .levels import LEVELS, NATIVE
from .scenes import SceneFiles, SynthScene
from .toml_file import Table

GOOD_OUTCOMES = ("harmless", "faithful", "recovered", "refused", "detected")
"""Outcomes of faults that leave nobody with a wrong product; see `faults/outcome.py`."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Expectation:
    """What the run has to show; None is not looked at.

    exit_code           as a shell shows it, 137 for SIGKILL
    killed              the memory limit killed it
    product             the product is there under its final name
    peak_within_budget  the process never held more than `memory`
    deadline_seconds    longest time on this machine, which is not the board's
    product_sha256      digest of the product
    same_as_native      the product equals that of level 1, byte for byte; looked at from level 2 on
    events              names that have to come in this order, others may lie between
    outcomes            what may come of each fault
    """

    exit_code: int | None = 0
    killed: bool | None = False
    product: bool | None = True
    peak_within_budget: bool | None = True
    deadline_seconds: float | None = None
    product_sha256: str | None = None
    same_as_native: bool = True
    events: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = GOOD_OUTCOMES


@dataclass(frozen=True)
class Slowness:
    """What is taken away besides memory; None leaves it as it is.

    cpu_percent  processor time, of the board's cores as far as this machine has them: 40 when it is hot
    storage      throughput is that of the board's profile
    disk_bytes   size of the file system that the product is written to
    """

    cpu_percent: int | None = None
    storage: bool = False
    disk_bytes: int | None = None


@dataclass(frozen=True)
class WantedFault:
    """A fault to try, `count` times with seeds from `seed` on."""

    kind: str
    seed: int = 0
    count: int = 1


@dataclass(frozen=True)
class Scenario:
    """One run of `bnnpan fuse` on an emulated board.

    budget_bytes        the promise: `--memory` of fuse
    memory_limit_bytes  what is enforced, where it is not all that the board leaves to an application
    bundle              path of a bundle, or name of one that comes with the runtime
    arguments           further ones for `bnnpan fuse`
    faults              tried after the undisturbed run, whose product they are compared with
    """

    name: str
    board: Board
    budget_bytes: int
    scene: SceneFiles | SynthScene
    memory_limit_bytes: int | None = None
    summary: str = ""
    bundle: str = "bgrn-x4"
    backend: str = "auto"
    threads: int = 1
    timeout_seconds: float = 600.0
    level: int = NATIVE
    arguments: tuple[str, ...] = ()
    slowness: Slowness = Slowness()
    faults: tuple[WantedFault, ...] = ()
    expect: Expectation = Expectation()

    def __post_init__(self) -> None:
        """A limit above what the board leaves to an application would emulate another board."""
        most = self.board.application_bytes
        if self.limit_bytes > most:
            raise ConfigError(
                f"scenario {self.name}: a memory limit of {format_size(self.limit_bytes)} is more than the "
                f"{format_size(most)} that {self.board.name} leaves to an application; lower it"
            )

    @property
    def limit_bytes(self) -> int:
        """The memory limit that is enforced."""
        return self.memory_limit_bytes or self.board.application_bytes


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    folder = resources.files(__package__) / "scenarios"
    files = [entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return sorted(name.removesuffix(".toml") for name in files)


def load_scenario(name_or_path: str, boards: Path | None = None) -> Scenario:
    """The scenario in a TOML file, or one of those that come with the package. Raises ConfigError."""
    if name_or_path in scenario_names():
        with resources.as_file(resources.files(__package__) / "scenarios" / f"{name_or_path}.toml") as path:
            return read_scenario(path, boards)
    if not name_or_path.endswith(".toml"):
        known = ", ".join(scenario_names())
        raise ConfigError(f"scenario {name_or_path!r} is unknown; give a TOML file or one of: {known}")
    return read_scenario(Path(name_or_path), boards)


def read_scenario(path: Path, boards: Path | None = None) -> Scenario:
    """The scenario in a TOML file; paths in it are relative to its folder. Raises ConfigError.

    `boards` is a folder with boards of one's own.
    """
    table = Table.read(path)
    folder = path.parent
    expect = table.take_optional_table("expect")
    bundle = table.take_optional("bundle", str)
    scenario = Scenario(
        name=path.stem,
        board=load_board(_near(folder, table.take("board", str)), boards),
        budget_bytes=table.take_size("memory"),
        scene=_scene(table.take_table("scene"), folder),
        memory_limit_bytes=table.take_optional_size("memory_limit"),
        summary=_or(table.take_optional("summary", str), Scenario.summary),
        bundle=_near(folder, bundle) if bundle else Scenario.bundle,
        backend=_or(table.take_optional("backend", str), Scenario.backend),
        threads=_or(table.take_optional("threads", int), Scenario.threads),
        timeout_seconds=_or(table.take_optional("timeout_seconds", float), Scenario.timeout_seconds),
        level=_level(table),
        arguments=tuple(map(str, table.take_optional("arguments", list) or ())),
        slowness=_slowness(table.take_optional_table("limits")),
        faults=tuple(_fault(one) for one in table.take_tables("faults")),
        expect=Expectation() if expect is None else _expectation(expect),
    )
    table.finish()
    return scenario


def _level(table: Table) -> int:
    number = _or(table.take_optional("level", int), Scenario.level)
    if number not in LEVELS:
        raise ConfigError(f"{table.where}: 'level' is {number}, but must be one of {LEVELS}")
    return number


def _slowness(table: Table | None) -> Slowness:
    if table is None:
        return Slowness()
    storage = table.take_optional("storage", str)
    if storage not in (None, "board"):
        raise ConfigError(f"{table.where}: 'storage' is {storage!r}, but must be 'board' or absent")
    percent = table.take_optional("cpu_percent", int)
    if percent is not None and not 1 <= percent <= 100:
        raise ConfigError(f"{table.where}: 'cpu_percent' is {percent}, but must be 1 to 100")
    slowness = Slowness(percent, storage == "board", table.take_optional_size("disk"))
    table.finish()
    return slowness


def _fault(table: Table) -> WantedFault:
    from .faults.kinds import KINDS

    kind = table.take("kind", str)
    if kind not in KINDS:
        raise ConfigError(f"{table.where}: 'kind' is {kind!r}; known are {', '.join(KINDS)}")
    fault = WantedFault(
        kind, _or(table.take_optional("seed", int), 0), _or(table.take_optional("count", int), 1)
    )
    table.finish()
    return fault


def _near(folder: Path, text: str) -> str:
    """A path relative to the scenario's folder where there is such a file, else the text itself (a name)."""
    return str(folder / text) if (folder / text).is_file() else text


def _scene(table: Table, folder: Path) -> SceneFiles | SynthScene:
    synth = table.take_optional_table("synth")
    if synth is None:
        files = SceneFiles(folder / table.take("pan", str), folder / table.take("ms", str))
        table.finish()
        return files
    table.finish()
    scene = SynthScene(
        size=synth.take_positive("size"),
        seed=_or(synth.take_optional("seed", int), SynthScene.seed),
        bands=_or(synth.take_optional("bands", int), SynthScene.bands),
        ratio=_or(synth.take_optional("ratio", int), SynthScene.ratio),
    )
    synth.finish()
    return scene


def _expectation(table: Table) -> Expectation:
    """Keys that are absent keep the expectations of a good run, unless the run is expected to be killed."""
    killed = table.take_optional("killed", bool) or False
    usual = Expectation(exit_code=137, product=False, peak_within_budget=None) if killed else Expectation()
    expectation = Expectation(
        exit_code=_or(table.take_optional("exit_code", int), usual.exit_code),
        killed=killed,
        product=_or(table.take_optional("product", bool), usual.product),
        peak_within_budget=_or(table.take_optional("peak_within_budget", bool), usual.peak_within_budget),
        deadline_seconds=table.take_optional("deadline_seconds", float),
        product_sha256=table.take_optional("product_sha256", str),
        same_as_native=_or(table.take_optional("same_as_native", bool), usual.same_as_native),
        events=tuple(map(str, table.take_optional("events", list) or ())),
        outcomes=tuple(map(str, table.take_optional("outcomes", list) or GOOD_OUTCOMES)),
    )
    table.finish()
    return expectation


def _or(value: _T | None, usual: _T) -> _T:
    return usual if value is None else value
