"""A command whose verbs lie in files of their own, each loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["Verbs"]


class Verbs(click.Group):
    """Verbs by the name of their file in `package`, each a click command called `command`."""

    package: str
    names: tuple[str, ...]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one; None if there is no such."""
        if cmd_name not in self.names:
            return None
        loaded: click.Command = import_module(f"{self.package}.{cmd_name}").command
        return loaded
