"""`bnnpan sim`: one verb per file, loaded when it is asked for."""

from __future__ import annotations

import click

from bnnpan_runtime.cli.verbs import Verbs

__all__ = ["command"]


class _Verbs(Verbs):
    """One per file here."""

    package = __name__
    names = ("boards", "campaign", "cost", "matrix", "report", "run", "setup")


@click.command("sim", cls=_Verbs, short_help="Run the flight software on emulated boards.")
def command() -> None:
    """Run the flight software under the limits of a satellite's small computer.

    Level 1 runs this machine's program under the board's memory, really enforced: by a memory cgroup (version
    2 or 1) where one can be made, else by a watchdog; the report says which. Level 2 runs the board's own
    instructions under emulation, level 3 boots a whole emulated board. Seconds are those of this machine, not
    of the board, at every level.

    \b
    Example:
      bnnpan sim boards
      bnnpan sim run pi-zero-2w-128mib
    """
