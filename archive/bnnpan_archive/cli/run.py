"""`bnnpan archive run`: every scene of a catalogue."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bnnpan_runtime.cli.options import bundle_option, echo_json, json_option, memory_option, threads_option
from bnnpan_runtime.cli.progress import progress_bar

_PATH = click.Path(path_type=Path)


@click.command("run", short_help="Fuse every scene of a catalogue.")
@click.argument("catalog", type=_PATH)
@click.argument("arguments", metavar="[-- FUSE OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.option("--out", required=True, type=_PATH, metavar="DIR", help="Folder of the products.")
@bundle_option
@memory_option
@threads_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Scenes fused at the same time.",
)
@click.option(
    "--scheduler",
    default="local",
    show_default=True,
    metavar="local|dask://HOST:PORT|slurm",
    help="Who runs the jobs: this computer, a Dask cluster, or Slurm, for which a script is written.",
)
@click.option("--pan-asset", metavar="KEY", help="Asset of STAC items that is PAN, where they do not tell.")
@click.option(
    "--ms-asset", "ms_assets", multiple=True, metavar="KEY", help="Asset that is MS; may be repeated."
)
@click.option(
    "--no-quality", "score", is_flag=True, flag_value=False, default=True, help="Do not measure products."
)
@click.option("--overwrite", is_flag=True, help="Make products again that are there.")
@json_option
def command(
    catalog: Path,
    arguments: tuple[str, ...],
    out: Path,
    bundle: str,
    memory: int,
    threads: int,
    workers: int,
    scheduler: str,
    pan_asset: str | None,
    ms_assets: tuple[str, ...],
    score: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fuse every scene of CATALOG into DIR, each by a `bnnpan fuse` of its own.

    CATALOG is a STAC file or the folder of one, a CSV or JSON table of PAN and MS, or a folder with pairs of
    files named pan and ms. Options behind -- are those of `bnnpan fuse`, for every scene.

    DIR becomes a STAC collection with a page, index.html. A scene is left out if its record and its product
    still match; one that was interrupted goes on where it was. A scene that fails does not keep the others
    from being done; the exit code is then 8.

    \b
    Examples:
      bnnpan archive run scenes/ --out products/ --memory 256MiB --workers 4
      bnnpan archive run catalog.json --out products/ --memory 256MiB -- --register off
      bnnpan archive run pairs.csv --out products/ --memory 1GiB --scheduler dask://head:8786
    """
    from bnnpan_archive.catalog import read_catalog
    from bnnpan_archive.cli.summary import tell
    from bnnpan_archive.command import check_arguments
    from bnnpan_archive.job import Options, Order
    from bnnpan_archive.run import run_archive
    from bnnpan_archive.schedulers import open_scheduler

    check_arguments(bundle, arguments)
    archive, found = out.absolute(), Path(bundle)
    scenes = read_catalog(catalog, without=archive, pan_asset=pan_asset, ms_assets=ms_assets)
    engine = open_scheduler(scheduler, workers)
    options = Options(
        bundle=str(found.absolute()) if found.is_file() else bundle,
        memory_bytes=memory,
        threads=threads,
        arguments=arguments,
        directory=os.getcwd(),
        score=score,
    )
    order = Order(str(archive), str(catalog.absolute()), options, tuple(scenes), overwrite)
    with progress_bar("Fusing") as progress:
        summary = run_archive(order, engine, progress)
    if engine.next_step is None:
        tell(summary, as_json)
    elif as_json:
        echo_json({**summary.to_json(), "next_step": engine.next_step})
    else:
        click.echo(f"{len(scenes)} jobs are ready; submit them with:\n{engine.next_step}")
