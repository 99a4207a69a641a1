"""`bnnpan scene`: scenes to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.cli.progress import progress_bar

__all__ = ["command"]


@click.group("scene", short_help="Make scenes to try things on.")
def command() -> None:
    """Make scenes to try things on.

    \b
    Example:
      bnnpan scene synth --size 1024 --out scene/
    """


@command.command("synth")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder to write to."
)
@click.option(
    "--size", type=click.IntRange(min=16), default=4096, show_default=True, help="PAN pixels per side."
)
@click.option("--bands", type=click.Choice(["3", "4", "8"]), default="4", show_default=True, help="MS bands.")
@click.option(
    "--ratio", type=click.IntRange(2, 16), default=4, show_default=True, help="MS to PAN pixel size."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which landscape."
)
@click.option(
    "--dtype",
    type=click.Choice(["uint16", "uint8"]),
    default="uint16",
    show_default=True,
    help="uint16 holds 11 bits.",
)
@click.option("--overwrite", is_flag=True, help="Replace the files of an earlier run.")
@json_option
def synth(
    out: Path, size: int, bands: str, ratio: int, seed: int, dtype: str, overwrite: bool, as_json: bool
) -> None:
    """Write a synthetic scene: pan.tif, ms.tif, and truth.tif to compare with.

    Fields, forests, a river and towns as a camera would see them: PAN and MS have its blur and noise, the
    truth is what an ideal MS camera would see on the PAN grid. The same seed gives the same scene at any
    size.

    \b
    Example:
      bnnpan scene synth --size 4096 --out scene/
    """
    from bnnpan_runtime.synth.capture import Scene
    from bnnpan_runtime.synth.write import write_scene

    scene = Scene(seed, int(bands), ratio, bit_depth=8 if dtype == "uint8" else 11)
    with progress_bar("Synthesising") as progress:
        paths = write_scene(out, scene, size, size, overwrite=overwrite, progress=progress)
    if as_json:
        echo_json({path.stem: str(path) for path in paths.values()})
    else:
        click.echo(f"wrote {', '.join(map(str, paths.values()))}")
