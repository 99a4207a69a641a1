"""The `bnnpan` command: one verb per file, loaded when it is asked for.

The verbs of this distribution are listed here; other distributions add theirs as entry points of the group
`bnnpan.commands`. A verb's module exports `command` and imports what is heavy only when the command runs, so
that help appears at once.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from bnnpan_runtime import __version__
from bnnpan_runtime.cli.failure import cleaning_up_when_ended, failing_in_one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["main"]

_OWN_COMMANDS = ("bench", "doctor", "fuse", "inspect", "plan", "quality", "scene", "verify")
_PLUGIN_GROUP = "bnnpan.commands"
_GROUND_COMMANDS = {
    "train": "train",
    "evaluate": "train",
    "cost": "train",
    "export": "export",
    "sim": "sim",
}
"""Commands of the ground side and the extra of the distribution `bnnpan` that brings them."""


class CommandLine(click.Group):
    """A group whose commands are found by name and whose failures are one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands that are installed."""
        return sorted({*_OWN_COMMANDS, *_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is no such."""
        if cmd_name in _OWN_COMMANDS:
            command: click.Command = import_module(f"bnnpan_runtime.cli.{cmd_name}").command
            return command
        plugin = _plugins().get(cmd_name)
        if plugin is None and cmd_name in _GROUND_COMMANDS:
            ctx.fail(f"{cmd_name!r} is of the ground side; install bnnpan[{_GROUND_COMMANDS[cmd_name]}]")
        return None if plugin is None else _load(plugin)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected failures become one line on stderr."""
        with cleaning_up_when_ended(), failing_in_one_line():
            return super().invoke(ctx)


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # costs more than the rest of the start together

    return {plugin.name: plugin for plugin in entry_points(group=_PLUGIN_GROUP)}


def _load(plugin: EntryPoint) -> click.Command:
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


@click.command(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bnnpan")
@click.option("-v", "--verbose", count=True, help="Say more; twice for everything.")
@click.option("-q", "--quiet", is_flag=True, help="Show neither progress nor warnings.")
@click.pass_context
def main(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """Pan-sharpening on a satellite's own computer, inside a promised memory budget.

    \b
    Example:
      bnnpan plan --pan pan.tif --ms ms.tif --memory 128MiB
      bnnpan fuse --pan pan.tif --ms ms.tif --out product.tif --memory 128MiB

    \b
    Exit codes:
      0    done                            6    the product cannot be written
      1    a defect of this program        7    the backend cannot be used
      2    wrong usage                     8    a check did not pass
      3    the scene cannot be used        9    a configuration is wrong
      4    the bundle cannot be used       130  interrupted
      5    the memory budget is too small  143  terminated
    """
    ctx.obj = quiet
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="bnnpan: %(levelname)s: %(message)s", force=True)
