"""What is said at the end of `run` and `report`."""

from __future__ import annotations

import click

from bnnpan_archive.errors import ScenesFailed
from bnnpan_archive.run import Summary
from bnnpan_runtime.cli.options import echo_json

__all__ = ["tell"]


def tell(summary: Summary, as_json: bool) -> None:
    """Print the summary. Raises ScenesFailed if a scene has no product."""
    value = summary.to_json()
    if as_json:
        echo_json(value)
    else:
        waiting = f", {summary.waiting} not yet tried" if summary.waiting else ""
        click.echo(
            f"scenes      {value['scenes']}: {value['made']} made, {value['skipped']} already there,"
            f" {value['failed']} failed{waiting}\n"
            f"collection  {value['collection']}\n"
            f"page        {value['page']}"
        )
    for result in summary.failures:
        click.echo(f"failed  {result.scene}: {result.message}\n        {result.command}", err=True)
    if summary.failures:
        raise ScenesFailed(f"{len(summary.failures)} of {value['scenes']} scenes failed; the others are done")
