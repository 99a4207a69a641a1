"""`bnnpan sim`: one verb per file, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["command"]

_VERBS = ("boards", "campaign", "cost", "matrix", "report", "run", "setup")


class _Verbs(click.Group):
    """Verbs by the name of their file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one; None if there is no such."""
        if cmd_name not in _VERBS:
            return None
        loaded: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return loaded


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
