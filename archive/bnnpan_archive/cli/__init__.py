"""`bnnpan archive`: one verb per file, loaded when it is asked for."""

from __future__ import annotations

import click

from bnnpan_runtime.cli.verbs import Verbs

__all__ = ["command"]


class _Verbs(Verbs):
    """One per file here."""

    package = __name__
    names = ("job", "report", "run")


@click.command("archive", cls=_Verbs, short_help="Fuse whole archives, scene by scene.")
def command() -> None:
    """Fuse every scene of a catalogue, on this computer or on a cluster.

    Each scene is a `bnnpan fuse` of its own, with its own memory budget. The same command again does what is
    not yet done, and goes on with scenes that were interrupted.

    \b
    Example:
      bnnpan archive run scenes/ --out products/ --memory 256MiB --workers 4
    """
