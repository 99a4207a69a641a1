"""The group behind `bnnpan`: commands found by name, loaded when asked for, listed by task.

Commands of other distributions are entry points of the group `bnnpan.commands`. One that this table does not
know is listed as a plug-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from bnnpan_runtime.cli.failure import cleaning_up_when_ended, failing_in_one_line
from bnnpan_runtime.cli.plugins import load_plugin, plugins
from bnnpan_runtime.errors import exit_codes

__all__ = ["GROUND_COMMANDS", "TASKS", "CommandLine"]

_PLUGIN_GROUP = "bnnpan.commands"

TASKS = {
    "On board": ("plan", "fuse", "telemetry"),
    "Train": ("train", "evaluate", "cost"),
    "Export, sign, update": ("export", "key", "bundle"),
    "Archives": ("archive",),
    "Prove": ("verify", "quality", "bench", "sim"),
    "Look": ("doctor", "inspect", "scene"),
}
"""Heading -> commands, in the order of `bnnpan --help`."""

GROUND_COMMANDS = {
    "train": "train",
    "evaluate": "train",
    "cost": "train",
    "export": "export",
    "key": "export",
    "archive": "archive",
    "sim": "sim",
}
"""Commands of the ground side and the extra of the distribution `bnnpan` that brings them."""

_OWN_COMMANDS = tuple(name for names in TASKS.values() for name in names if name not in GROUND_COMMANDS)


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
        if plugin is not None:
            return load_plugin(plugin)
        if not ctx.resilient_parsing:  # a shell completing a line
            self._fail(ctx, cmd_name)
        return None

    def _fail(self, ctx: click.Context, name: str) -> None:
        """Refuse a name that is no command here, if there is more to say than that."""
        if name in GROUND_COMMANDS:
            ctx.fail(f"{name!r} is of the ground side; install bnnpan[{GROUND_COMMANDS[name]}]")
        similar = get_close_matches(name, self.list_commands(ctx), n=1)
        if similar:
            ctx.fail(f"No such command {name!r}. Did you mean {similar[0]!r}?")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands below the headings of their tasks, and those that are not installed."""
        installed = self.list_commands(ctx)
        width = max(map(len, installed))
        for heading, names in _by_task(installed):
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), self._summary(ctx, name)) for name in names])
        absent = [name for name in GROUND_COMMANDS if name not in installed]
        if absent:
            with formatter.section("Not installed"):
                formatter.write_text(f"{', '.join(absent)}: `bnnpan doctor` says how to get them.")

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(limit=60)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit codes mean, and how shells complete commands."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exit_codes().items()])
        with formatter.section("Completion, in ~/.bashrc (zsh_source and fish_source for others)"):
            formatter.write_text('eval "$(_BNNPAN_COMPLETE=bash_source bnnpan)"')

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected failures become one line on stderr."""
        with cleaning_up_when_ended(), failing_in_one_line():
            return super().invoke(ctx)


def _by_task(installed: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Headings with what is installed of their commands; last what no heading knows."""
    known = {name for names in TASKS.values() for name in names}
    tasks = {**TASKS, "Plug-ins": tuple(name for name in installed if name not in known)}
    for heading, names in tasks.items():
        if present := [name for name in names if name in installed]:
            yield heading, present
