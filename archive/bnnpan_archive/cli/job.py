"""`bnnpan archive job`: one scene, for whoever schedules them."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option


@click.command("job", short_help="Do one scene of an archive.")
@click.argument("archive", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("index", type=int)
@json_option
def command(archive: Path, index: int, as_json: bool) -> None:
    """Do the scene number INDEX, from 0, of the order in DIR, which `bnnpan archive run` has written there.

    This is what a task of an array runs. The exit code is 8 if the scene failed.

    \b
    Example:
      bnnpan archive job products/ 0
    """
    from bnnpan_archive.errors import ScenesFailed
    from bnnpan_archive.job import Order
    from bnnpan_archive.run import run_job

    result = run_job(Order.read(archive), index)
    if as_json:
        echo_json(result.to_json())
    if result.failed:
        raise ScenesFailed(f"{result.scene}: {result.message}; again: {result.command}")
    if not as_json:
        click.echo(f"{'already there' if result.skipped else 'made'}  {archive / str(result.product)}")
