"""`bnnpan bundle`: put a bundle into a catalogue, update a board's over a thin link.

Commands of other distributions come in as entry points of the group `bnnpan.bundle`, such as `sign`.
"""

from __future__ import annotations

from importlib import import_module

import click

from bnnpan_runtime.cli.plugins import load_plugin, plugins

__all__ = ["command"]

_OWN_COMMANDS = {
    "apply": "uplink",
    "diff": "uplink",
    "join": "uplink",
    "split": "uplink",
    "stac": "bundle_stac",
}
"""Command and the module that has it."""

_PLUGIN_GROUP = "bnnpan.bundle"
_GROUND_COMMANDS = {"sign": "export"}


class BundleCommands(click.Group):
    """Commands found by name, like those of `bnnpan` itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all that are installed."""
        return sorted({*_OWN_COMMANDS, *plugins(_PLUGIN_GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is no such."""
        if cmd_name in _OWN_COMMANDS:
            module = import_module(f"bnnpan_runtime.cli.{_OWN_COMMANDS[cmd_name]}")
            command: click.Command = getattr(module, cmd_name)
            return command
        plugin = plugins(_PLUGIN_GROUP).get(cmd_name)
        if plugin is None and cmd_name in _GROUND_COMMANDS:
            ctx.fail(f"{cmd_name!r} is of the ground side; install bnnpan[{_GROUND_COMMANDS[cmd_name]}]")
        return None if plugin is None else load_plugin(plugin)


@click.command("bundle", cls=BundleCommands, short_help="Sign, describe and update bundles.")
def command() -> None:
    """Sign a bundle, describe it for catalogues, make and apply patches, split files into packets, join them.

    \b
    Example:
      bnnpan bundle stac new.bnnpan --out new.json
      bnnpan bundle diff old.bnnpan new.bnnpan --out update.patch
      bnnpan bundle split update.patch --packets 1024 --out packets
      bnnpan bundle join packets --out update.patch
      bnnpan bundle apply old.bnnpan update.patch --out new.bnnpan
    """
