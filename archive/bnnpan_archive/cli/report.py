"""`bnnpan archive report`: collection and page of what there is."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.cli.options import json_option


@click.command("report", short_help="Write collection and page of the products there are.")
@click.argument("archive", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def command(archive: Path, as_json: bool) -> None:
    """Gather the records in DIR into its STAC collection and its page, at any time.

    The exit code is 8 if a scene failed.

    \b
    Example:
      bnnpan archive report products/
    """
    from bnnpan_archive.cli.summary import tell
    from bnnpan_archive.job import Order
    from bnnpan_archive.run import report

    tell(report(Order.read(archive)), as_json)
