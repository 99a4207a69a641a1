"""`bnnpan bundle stac`: a bundle as an item of a catalogue."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from bnnpan_runtime.cli.options import echo_json
from bnnpan_runtime.cli.output_file import check_output

__all__ = ["stac"]


@click.command("stac", short_help="Describe a bundle for a catalogue of models.")
@click.argument("bundle")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the item to FILE.")
@click.option(
    "--href",
    metavar="URL",
    help="Where readers of the item find the bundle.  [default: its path, seen from the item]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing item.")
def stac(bundle: str, out: Path | None, href: str | None, overwrite: bool) -> None:
    """Print a STAC item of BUNDLE, in the words of the Machine Learning Model extension.

    \b
    Example:
      bnnpan bundle stac bgrn-x4 --out bgrn-x4.json
    """
    import json

    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.durable_file import write_file
    from bnnpan_runtime.stac.model import model_item

    opened = Bundle.open(bundle)
    if out is None:
        echo_json(model_item(opened, href or _seen_from(Path.cwd(), opened.path)))
        return
    check_output(out, overwrite)
    item = model_item(opened, href or _seen_from(out.parent, opened.path))
    write_file(out, json.dumps(item, indent=2).encode() + b"\n")


def _seen_from(folder: Path, path: Path) -> str:
    """A relative reference, as those of items are."""
    relative = quote(os.path.relpath(path.resolve(), folder.resolve()))
    return relative if relative.startswith("../") else f"./{relative}"
