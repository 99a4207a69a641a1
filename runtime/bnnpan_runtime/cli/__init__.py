"""The `bnnpan` command: one verb per file, loaded when it is asked for.

A verb's module exports `command` and imports what is heavy only when the command runs, so that help appears
at once. Which verbs there are, and under which heading, stands in `group.py`.
"""

from __future__ import annotations

import logging

import click

from bnnpan_runtime import __version__
from bnnpan_runtime.cli.group import CommandLine

__all__ = ["main"]


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
