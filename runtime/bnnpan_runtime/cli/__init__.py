"""The `bnnpan` command: one verb per file, loaded when it is asked for.

The verbs of this distribution are listed here; other distributions add theirs as entry points of the group
`bnnpan.commands`. A verb's module exports `command` and imports what is heavy only when the command runs, so
that help appears at once.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import click

from bnnpan_runtime import __version__
from bnnpan_runtime.cli.failure import cleaning_up_when_ended, failing_in_one_line
from bnnpan_runtime.cli.plugins import load_plugin, plugins
from bnnpan_runtime.errors import exit_codes

__all__ = ["main"]

_OWN_COMMANDS = (
    "bench",
    "bundle",
    "doctor",
    "fuse",
    "inspect",
    "plan",
    "quality",
    "scene",
    "telemetry",
    "verify",
)
_PLUGIN_GROUP = "bnnpan.commands"
_GROUND_COMMANDS = {
    "train": "train",
    "evaluate": "train",
    "cost": "train",
    "export": "export",
    "key": "export",
    "sim": "sim",
}
"""Commands of the ground side and the extra of the distribution `bnnpan` that brings them."""


class CommandLine(click.Group):
    """A group whose commands are found by name and whose failures are one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands that are installed."""
        return sorted({*_OWN_COMMANDS, *plugins(_PLUGIN_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is no such."""
        if cmd_name in _OWN_COMMANDS:
            command: click.Command = import_module(f"bnnpan_runtime.cli.{cmd_name}").command
            return command
        plugin = plugins(_PLUGIN_GROUP).get(cmd_name)
        if plugin is None and cmd_name in _GROUND_COMMANDS:
            ctx.fail(f"{cmd_name!r} is of the ground side; install bnnpan[{_GROUND_COMMANDS[cmd_name]}]")
        return None if plugin is None else load_plugin(plugin)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit codes mean, below the commands."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exit_codes().items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected failures become one line on stderr."""
        with cleaning_up_when_ended(), failing_in_one_line():
            return super().invoke(ctx)


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
    """
    ctx.obj = quiet
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="bnnpan: %(levelname)s: %(message)s", force=True)
