"""`bnnpan inspect`: what a bundle says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.memory import format_size

if TYPE_CHECKING:
    from bnnpan_runtime.contract import Manifest

__all__ = ["command"]

_UNITS = {"bit_depth": "units of the bit depth", "scene": "units of the scene"}
_AS_TEXT = "-"


def _text_or_svg(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """What comes behind `--graph` is a picture, so that BUNDLE is not taken for one."""
    if value not in (None, _AS_TEXT) and Path(value).suffix != ".svg":
        raise click.BadParameter(
            f"{value!r} is no picture's name; end it in .svg, and give BUNDLE before --graph"
        )
    return value


@click.command("inspect", short_help="Show what is in a bundle.")
@click.argument("bundle")
@click.option(
    "--graph",
    is_flag=False,
    flag_value=_AS_TEXT,
    callback=_text_or_svg,
    metavar="[FILE.svg]",
    help="Show the network, as a table or drawn into a file: shapes, stored numbers and work of each layer.",
)
@json_option
def command(bundle: str, graph: str | None, as_json: bool) -> None:
    """Show what is in BUNDLE: a .bnnpan file or the name of a shipped one.

    Signatures are shown as they are, not verified: `bnnpan verify` does that.

    \b
    Example:
      bnnpan inspect bgrn-x4 --graph
      bnnpan inspect bgrn-x4 --graph network.svg
    """
    from bnnpan_runtime.bundle import Bundle

    opened = Bundle.open(bundle)
    if graph not in (None, _AS_TEXT):
        _draw(opened.manifest, Path(graph))
    elif as_json:
        echo_json(_graph_json(opened.manifest) if graph else opened.manifest.to_json())
    elif graph:
        from bnnpan_runtime.cli.graph_picture import graph_picture

        click.echo(graph_picture(opened.manifest))
    else:
        _print(opened.manifest)
        for signature in opened.signatures():
            click.echo(f"signature    by key {signature.key_id}, not verified")


def _draw(manifest: Manifest, path: Path) -> None:
    from bnnpan_runtime.cli.graph_svg import graph_svg
    from bnnpan_runtime.durable_file import write_file

    write_file(path, graph_svg(manifest).encode())


def _graph_json(manifest: Manifest) -> dict[str, Any]:
    from bnnpan_runtime.architecture import calibration_layers, fusion_layers

    calibration = calibration_layers(manifest.network, manifest.calibration)
    return {
        "per_pan_pixel": [layer.to_json() for layer in fusion_layers(manifest.network)],
        "per_scene": [layer.to_json() for layer in calibration],
    }


def _print(manifest: Manifest) -> None:
    network = manifest.network
    click.echo(
        f"{manifest.id}   schema {manifest.schema}, rollback counter {manifest.rollback_counter}\n"
        f"sensor       {manifest.sensor}; bands {', '.join(manifest.band_roles)}; ratio {network.ratio};"
        f" {manifest.bit_depth} bits; {manifest.phase} phase; {_UNITS[manifest.units]}\n"
        f"network      {network.blocks} blocks of {network.channels} channels, halo {manifest.halo} pixels,"
        f" latent {network.latent}, {network.prior_steps} prior steps\n"
        f"calibration  {manifest.calibration.count} patches of {manifest.calibration.patch} pixels a side"
    )
    for name, value in sorted(manifest.provenance.items()):
        click.echo(f"provenance   {name}: {value}")
    for name, parity in sorted(manifest.parity.items()):
        click.echo(
            f"parity       {name}: largest {parity.largest_dn:g} DN, RMS {parity.rms_dn:.3g} DN,"
            f" {100 * parity.share_over_1dn:.3g} % differ by more than 1 DN"
        )
    for name, file in sorted(manifest.files.items()):
        click.echo(f"file         {name}  {format_size(file.size_bytes)}  {file.sha256[:16]}...")
