"""`bnnpan archive`: one verb per file, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["command"]

_VERBS = ("job", "report", "run")


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


@click.command("archive", cls=_Verbs, short_help="Fuse whole archives, scene by scene.")
def command() -> None:
    """Fuse every scene of a catalogue, on this computer or on a cluster.

    Each scene is a `bnnpan fuse` of its own, with its own memory budget. The same command again does what is
    not yet done, and goes on with scenes that were interrupted.

    \b
    Example:
      bnnpan archive run scenes/ --out products/ --memory 256MiB --workers 4
    """
