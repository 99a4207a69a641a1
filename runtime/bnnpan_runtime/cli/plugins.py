"""Commands that other distributions add."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["load_plugin", "plugins"]


def plugins(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name."""
    from importlib.metadata import entry_points  # costs more than the rest of the start together

    return {plugin.name: plugin for plugin in entry_points(group=group)}


def load_plugin(plugin: EntryPoint) -> click.Command:
    """The command of an entry point; if it cannot be loaded, one that says why."""
    try:
        command = plugin.load()
    except Exception as error:  # whatever somebody else's module does must not take the other commands down
        return _broken(plugin, f"{type(error).__name__}: {error}")
    if not isinstance(command, click.Command):
        return _broken(plugin, f"{plugin.value} is not a command")
    return command


def _broken(plugin: EntryPoint, reason: str) -> click.Command:
    """Stands in for a command that cannot be loaded and says why."""
    summary = f"Broken plug-in {plugin.value}: {' '.join(reason.split())}"

    def fail(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(summary)

    return click.Command(
        plugin.name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        help=summary,
        short_help=summary,
    )
