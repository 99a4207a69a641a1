"""`bnnpan sim boards`: the computers that can be emulated."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.memory import format_size
from bnnpan_sim.board import Board, board_names, load_board

from .options import boards_option


@click.command("boards", short_help="List the boards.")
@boards_option
@json_option
def command(boards: Path | None, as_json: bool) -> None:
    """List the boards and what they leave to an application; in JSON with the source of every figure.

    A board of your own is a TOML file; `extends = "pi-4b-2g"` in it takes over what it does not say. Give its
    path wherever a board is named, or its folder by --boards or in BNNPAN_BOARDS.

    \b
    Examples:
      bnnpan sim boards
      bnnpan sim boards --boards our-boards --json
    """
    known = [load_board(name, boards) for name in board_names(boards)]
    if as_json:
        echo_json([board.to_json() for board in known])
        return
    click.echo(f"{'NAME':20} {'RAM':>8} {'APPLICATION':>12}  {'CPU':18} {'GHZ':>4}  STORAGE")
    for board in known:
        click.echo(_line(board))


def _line(board: Board) -> str:
    ram, application = format_size(board.ram_mib << 20), format_size(board.application_bytes)
    clock = "-" if board.clock_mhz is None else f"{board.clock_mhz / 1000:.1f}"
    cpu = f"{board.cores} x {board.cpu}"
    return f"{board.name:20} {ram:>8} {application:>12}  {cpu:18} {clock:>4}  {board.storage}"
