"""`bnnpan sim run`: one scenario on one board."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from bnnpan_runtime.cli.options import BACKENDS, SIZE, echo_json, json_option
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.memory import format_size
from bnnpan_sim.board import load_board
from bnnpan_sim.levels import LEVELS
from bnnpan_sim.report import Event, SimReport
from bnnpan_sim.run import run_scenario
from bnnpan_sim.scenario import Scenario, load_scenario, scenario_names
from bnnpan_sim.scenes import SceneFiles

from .options import boards_option, default_work, work_option


@click.command("run", short_help="Run a scenario on a board and judge it.")
@click.argument("scenario", required=False)
@click.option("--board", metavar="NAME|FILE", help="Board by name, or a TOML file of your own.")
@boards_option
@click.option(
    "--level",
    type=click.Choice(list(map(str, LEVELS))),
    help="1 native under limits, 2 emulated, 3 a whole board.",
)
@click.option("--memory", type=SIZE, help="Budget promised to the run, such as 128MiB.")
@click.option(
    "--memory-limit", type=SIZE, help="What the board enforces [default: all it has for an application]."
)
@click.option("--bundle", metavar="NAME|FILE", help="Network to use, by name, or a file.")
@click.option("--pan", type=click.Path(path_type=Path), help="Panchromatic scene.")
@click.option("--ms", type=click.Path(path_type=Path), help="Multispectral scene.")
@click.option("--backend", type=click.Choice(["auto", *BACKENDS]), help="Engine that runs the network.")
@click.option("--threads", type=click.IntRange(min=1), help="Tiles computed at the same time.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the product here.")
@work_option
@json_option
def command(
    scenario: str | None,
    boards: Path | None,
    out: Path | None,
    work: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a SCENARIO: a TOML file, or one of those that come with the program.

    Options replace what the scenario says. Without a scenario, --board, --memory, --pan and --ms make one
    that expects a product within the budget. The exit code is 0 if all expectations are met, else 8.

    \b
    Examples:
      bnnpan sim run pi-zero-2w-128mib
      bnnpan sim run pi-zero-2w-over-budget --json
      bnnpan sim run my-scenario.toml --board my-board.toml
      bnnpan sim run --board pi-zero-2w --memory 128MiB --pan pan.tif --ms ms.tif
      bnnpan sim run --board pi-zero-2w --memory 128MiB --pan pan.tif --ms ms.tif --level 2
    """
    if scenario is None:
        chosen = _from_options(options, boards)
    else:
        chosen = _replaced(load_scenario(scenario, boards), options, boards)
    shown = sys.stderr.isatty() and not as_json
    report = run_scenario(
        chosen, work or default_work(), out=out, tell=_tell if shown else lambda event: None
    )
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(_text(report))
    if not report.passed:
        raise VerificationError(f"scenario {report.scenario} on {report.board}: {'; '.join(report.failures)}")


def _from_options(options: dict[str, Any], boards: Path | None) -> Scenario:
    missing = [f"--{name}" for name in ("board", "memory", "pan", "ms") if options[name] is None]
    if missing:
        known = ", ".join(scenario_names())
        raise click.UsageError(f"give {', '.join(missing)}, or a SCENARIO: a TOML file or one of {known}")
    scenario = Scenario(
        name="command-line",
        board=load_board(options["board"], boards),
        budget_bytes=options["memory"],
        scene=SceneFiles(options["pan"], options["ms"]),
    )
    return _replaced(scenario, options, boards)


def _replaced(scenario: Scenario, options: dict[str, Any], boards: Path | None) -> Scenario:
    given = {name: value for name, value in options.items() if value is not None}
    if ("pan" in given) != ("ms" in given):
        raise click.UsageError("--pan and --ms go together")
    changes: dict[str, Any] = {
        name: given[name] for name in ("bundle", "backend", "threads") if name in given
    }
    if "board" in given:
        changes["board"] = load_board(given["board"], boards)
    if "level" in given:
        changes["level"] = int(given["level"])
    if "memory" in given:
        changes["budget_bytes"] = given["memory"]
    if "memory_limit" in given:
        changes["memory_limit_bytes"] = given["memory_limit"]
    if "pan" in given:
        changes["scene"] = SceneFiles(given["pan"], given["ms"])
    return dataclasses.replace(scenario, **changes)


def _tell(event: Event) -> None:
    click.echo(f"{event.seconds:9.3f} s     {event.name:12} {event.detail}", err=True)


def _text(report: SimReport) -> str:
    def size(size_bytes: int | None) -> str:
        return "-" if size_bytes is None else format_size(size_bytes)

    rows = {
        "scenario": f"{report.scenario} on {report.board}, level {report.level}",
        "limit": f"{size(report.limit_bytes)}, enforced by {report.enforced_by}",
        "budget": size(report.budget_bytes),
        "predicted peak": size(report.predicted_peak_bytes),
        "measured peak": f"{size(report.peak_bytes)} (by the run itself: {size(report.measured_peak_bytes)})",
        "charged peak": f"{size(report.charged_peak_bytes)}, page cache included where a cgroup counts it",
        "exit": f"{report.exit_code}, killed at the limit" if report.killed else str(report.exit_code),
        "time": f"{report.seconds:.1f} s here, {report.cpu_seconds:.1f} s of processor time",
    }
    lines = [f"{name:15} {value}" for name, value in rows.items()]
    lines += [f"{event.seconds:9.3f} s     {event.name:12} {event.detail}" for event in report.events]
    lines += [f"{'note':15} {note}" for note in report.notes]
    lines += [
        f"fault {fault.kind}, seed {fault.seed}: {fault.outcome}, {fault.detail}" for fault in report.faults
    ]
    lines.append("PASSED" if report.passed else "FAILED")
    if report.summary:
        lines.insert(0, report.summary)
    return "\n".join(lines + [f"  {failure}" for failure in report.failures])
