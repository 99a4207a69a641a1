"""`rio bnnpan`: `bnnpan fuse` with rio's conventions, for those who work with rasterio's command line.

Files come by position, the product last or as `-o`; `--bounds` is what `fuse` calls `--extent`. All other
options are those of `fuse`, taken from its command, and the same code runs.
"""

from __future__ import annotations

from typing import Any

import click
from rasterio.rio import options as rio_options
from rasterio.rio.helpers import resolve_inout

from bnnpan_runtime.cli.failure import cleaning_up_when_ended, failing_in_one_line
from bnnpan_runtime.cli.fuse import command as fuse

__all__ = ["command"]

_SAID_DIFFERENTLY = ("pan", "ms", "out", "overwrite", "extent")
"""Parameters of `fuse` that rio's users write in another way."""

_PLAIN, _COG = "GTiff", "COG"


def _check_layout(driver: str, creation_options: dict[str, str | None]) -> None:
    """Refuse creation options of another layout than the product has: a run could not go on in it."""
    from bnnpan_runtime.product.block_file import BLOCK

    side = str(BLOCK)
    layout = {
        "interleave": "pixel",
        "compress": "none",
        "tiled": "yes",
        "blockxsize": side,
        "blockysize": side,
    }
    if driver == _COG:
        layout = {"interleave": "pixel", "compress": "deflate", "blocksize": side}
    for name, value in creation_options.items():
        if layout.get(name) != (value or "none"):  # rio reads "none" as None
            fixed = ", ".join(f"{key}={layout[key]}" for key in layout)
            raise click.BadParameter(
                f"{name}={value or 'none'}: a product is always {fixed}; `rio convert` makes others of it",
                param_hint="--co",
            )


@click.command("bnnpan", short_help="Pan-sharpen with a 1-bit network within a memory budget.")
@rio_options.files_inout_arg
@rio_options.output_opt
@rio_options.bounds_opt
@click.option(
    *("-f", "--format", "--driver", "driver"),
    type=click.Choice([_PLAIN, _COG], case_sensitive=False),
    default=_PLAIN,
    show_default=True,
    help="Form of the product; COG is --cog.",
)
@rio_options.creation_options
@click.option("--overwrite", "--force-overwrite", is_flag=True, help="Replace an existing product.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    output: str | None,
    bounds: tuple[float, ...] | None,
    driver: str,
    creation_options: dict[str, str | None],
    overwrite: bool,
    cog: bool,
    **as_fuse: Any,
) -> None:
    """Fuse PAN and MS into a sharp multispectral product within a memory budget.

    The first of INPUTS is PAN, the others are MS, in one file or one per band. This is `bnnpan fuse`, whose
    help says more.

    \b
    Example:
      rio bnnpan pan.tif ms.tif product.tif --memory 128MiB
      rio bnnpan pan.tif blue.tif green.tif red.tif nir.tif -o product.tif --memory 128MiB
    """
    product, inputs = resolve_inout(
        files=files, output=output, overwrite=True
    )  # `fuse` looks after it itself
    if len(inputs) < 2:
        raise click.UsageError("PAN and at least one file of MS must come before the product")
    cog = cog or driver == _COG
    _check_layout(_COG if cog else _PLAIN, creation_options)
    rio, root = ctx.obj, ctx.find_root()
    root.obj = rio["verbosity"] < 0  # where `bnnpan` keeps whether it is to be quiet
    assert fuse.callback is not None
    with rio["env"], cleaning_up_when_ended(), failing_in_one_line():
        fuse.callback(
            pan=inputs[0],
            ms=tuple(inputs[1:]),
            out=product,
            overwrite=overwrite,
            extent=bounds,
            cog=cog,
            **as_fuse,
        )


command.params += [parameter for parameter in fuse.params if parameter.name not in _SAID_DIFFERENTLY]
