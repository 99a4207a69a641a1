"""`bnnpan sim setup`: what a level needs, prepared once."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.memory import format_size


@click.command("setup", short_help="Prepare a level and say what it takes.")
@click.option(
    "--level", type=click.Choice(["2", "3"]), required=True, help="Level to prepare; 1 needs nothing."
)
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="aarch64 wheel of bnnpan-runtime [default: built from the sources of a checkout].",
)
@click.option(
    "--constraint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Versions to hold to, as for pip.",
)
def command(level: str, wheel: Path | None, constraint: Path | None) -> None:
    """Prepare level 2: an aarch64 Python, the aarch64 wheels of all dependencies, and ours. Level 3 adds
    Debian's kernel and a disk with all of that.

    Nothing is installed on this computer and no root is needed; files go to ~/.cache/bnnpan/aarch64, or where
    BNNPAN_AARCH64 says. Keep that folder between CI runs. Run it again when bnnpan-runtime has changed.
    Level 2 needs qemu-user, level 3 qemu-system-arm as well (Debian and Ubuntu: apt-get install).

    \b
    Examples:
      bnnpan sim setup --level 2 --wheel dist/bnnpan_runtime-*_aarch64.whl
      bnnpan sim setup --level 3
    """
    from bnnpan_sim.aarch64 import level2
    from bnnpan_sim.whole_board import level3

    def say(line: str) -> None:
        click.echo(line, err=True)

    if level == "2":
        prepared, steps = level2.setup(wheel, constraint, say=say)
    else:
        board, steps = level3.setup(wheel, constraint, say=say)
        prepared = board.packages
    for step in steps:
        click.echo(f"{step.name:12} {step.seconds:6.1f} s {format_size(step.size_bytes):>10}")
    click.echo(f"level {level} is ready: {prepared.wheel}, in {prepared.environment.folder}")
