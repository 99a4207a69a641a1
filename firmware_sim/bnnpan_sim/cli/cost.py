"""`bnnpan sim cost`: what a board would take, estimated, beside what real boards took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_sim.board import board_names, load_board
from bnnpan_sim.cost import ASSUMPTIONS, Estimate, Measured, estimate, load_costs, read_measured, to_json

from .options import boards_option

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("cost", short_help="Estimate seconds and joules per megapixel on a board.")
@click.option(
    "--board", "names", multiple=True, metavar="NAME|FILE", help="Board; repeatable [default: all]."
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Tiles at a time.")
@click.option(
    "--channels", type=click.Choice(["32", "64"]), default="32", show_default=True, help="Of the network."
)
@click.option(
    "--measured", "files", multiple=True, type=_FILE, help="TOML, or `bnnpan bench --json`; repeatable."
)
@boards_option
@json_option
def command(
    names: tuple[str, ...],
    threads: int,
    channels: str,
    files: tuple[Path, ...],
    boards: Path | None,
    as_json: bool,
) -> None:
    """Estimate what a megapixel of PAN would take, from recorded instructions and cycle models of cores.

    Nothing of it is measured. Values of real boards are shown apart: from a TOML file with [[measured]]
    tables (board, threads, seconds_per_megapixel, joules_per_megapixel, source), or from the JSON that
    `bnnpan bench --json` printed on the board, in a file named after it.

    \b
    Examples:
      bnnpan sim cost --board pi-zero-2w
      bnnpan sim cost --threads 4 --measured pi-zero-2w.json
    """
    costs = load_costs()
    known = [load_board(name, boards) for name in names or board_names(boards)]
    complete = [board for board in known if names or (board.clock_mhz and board.cost_model)]
    estimates = [estimate(board, costs, threads, int(channels)) for board in complete]
    measured = [row for path in files for row in read_measured(path)]
    if as_json:
        echo_json(to_json(estimates, measured, costs))
        return
    click.echo(_estimates(estimates))
    click.echo(_measured(measured))
    click.echo("\nassumptions\n" + "\n".join(f"  {line}" for line in ASSUMPTIONS))
    click.echo(f"  instructions of {costs['compiler']}, cycles of LLVM {costs['llvm']}")


def _estimates(rows: Sequence[Estimate]) -> str:
    lines = ["ESTIMATED, per megapixel of PAN: not measured"]
    lines.append(
        f"{'board':20} {'core':12} {'threads':>7} {'best s':>8} {'likely s':>9} {'likely J':>9}  bound by"
    )
    for row in rows:
        joules = "-" if row.likely_joules is None else f"{row.likely_joules:.1f}"
        lines.append(
            f"{row.board:20} {row.core:12} {row.threads:7} {row.best_seconds:8.2f} {row.likely_seconds:9.2f}"
            f" {joules:>9}  {row.bound_by}"
        )
    return "\n".join(lines)


def _measured(rows: Sequence[Measured]) -> str:
    if not rows:
        return "\nMEASURED: nothing yet; enter what real boards took with --measured"
    lines = ["\nMEASURED, per megapixel of PAN"]
    for row in rows:
        joules = "-" if row.joules is None else f"{row.joules:.1f}"
        lines.append(
            f"{row.board:20} {row.threads:2} threads {row.seconds:8.2f} s {joules:>9} J  {row.source}"
        )
    return "\n".join(lines)
