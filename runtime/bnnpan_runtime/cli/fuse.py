"""`bnnpan fuse`: a raw scene becomes a sharp product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bnnpan_runtime.cli.demand_options import demand_options
from bnnpan_runtime.cli.finishing_options import finishing_options
from bnnpan_runtime.cli.options import (
    backend_option,
    bit_depth_option,
    bundle_option,
    echo_json,
    fallback_option,
    json_option,
    memory_option,
    scene_options,
    threads_option,
    tile_option,
    wanted_bundle,
)
from bnnpan_runtime.cli.progress import progress_bar
from bnnpan_runtime.cli.protection_options import protection_options
from bnnpan_runtime.cli.provider_option import provider_option, use_provider
from bnnpan_runtime.cli.scene_options import preparation_options
from bnnpan_runtime.cli.telemetry_options import telemetry_options
from bnnpan_runtime.cli.trust_options import trust_options
from bnnpan_runtime.errors import PartialError
from bnnpan_runtime.memory import format_size, peak_bytes

if TYPE_CHECKING:
    from bnnpan_runtime.contract import FuseReport
    from bnnpan_runtime.finishing.order import Finishing
    from bnnpan_runtime.guard import Protection
    from bnnpan_runtime.registration.shift import Register
    from bnnpan_runtime.scene import SceneOptions
    from bnnpan_runtime.telemetry.outputs import Outputs
    from bnnpan_runtime.trust.policy import Trust

__all__ = ["command"]


@click.command("fuse", short_help="Fuse PAN and MS into a sharp product.")
@bundle_option
@scene_options
@preparation_options
@click.option(
    "--out", required=True, metavar="TIF", help="Product: tiled GeoTIFF on the PAN grid, bands of MS."
)
@memory_option
@backend_option()
@provider_option
@fallback_option
@trust_options
@threads_option
@tile_option
@bit_depth_option("the bundle's; networks in scene units need none")
@click.option("--overwrite", is_flag=True, help="Replace an existing product.")
@click.option(
    "--resume/--restart",
    default=None,
    help="What to do with the finished part of an interrupted run: refuse to replace that of another run, or"
    " discard it.  [default: continue if this run would have made the same, else begin anew and say so]",
)
@click.option(
    "--preview",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Also draw PAN, MS and product side by side, where the scene has most detail.",
)
@finishing_options
@demand_options
@telemetry_options
@protection_options
@json_option
def command(
    bundle: str,
    pan: str,
    ms: tuple[str, ...],
    out: str,
    memory: int,
    backend: str,
    provider: str | None,
    fallback: bool,
    trust: Trust,
    register: Register,
    radiometry: Path | None,
    scene_part: SceneOptions,
    threads: int,
    tile: int | None,
    bit_depth: int | None,
    overwrite: bool,
    resume: bool | None,
    preview: Path | None,
    finishing: Finishing,
    demanded: dict[str, Any],
    outputs: Outputs,
    protection: Protection,
    as_json: bool,
) -> None:
    """Fuse PAN and MS into a sharp multispectral product within a memory budget.

    The product appears under its name only when it is complete. A run that is killed, stopped, or ended by
    an error or a power cut keeps what is finished in hidden files beside it; the same command goes on from
    there. A budget that cannot be kept is refused before anything is written, and the message names the
    smallest one that can.

    A network that cannot run is refused, too: its bundle cannot be used, is not signed by a trusted key, is
    made for other scenes, or does not reproduce its golden tile. With --fallback, or by --backend classical,
    the classical method MTF-GLP-FS makes the product instead; output and product say so. It needs no bundle,
    and takes any bands and ratio.

    \b
    Examples:
      bnnpan fuse --pan pan.tif --ms ms.tif --out product.tif --memory 128MiB
      bnnpan fuse --pan pan.tif --ms ms.tif --out product.tif --memory 128MiB --cog --thumbnail --stac
      bnnpan fuse --pan pan.tif --ms ms.tif --out product.tif --memory 128MiB \\
          --mask mask.tif --quality --min-hqnr 0.8
      bnnpan fuse --pan pan.tif --ms ms.tif --out product.tif --memory 128MiB \\
          --deadline 90s --priority-window 4096,2048,1024,1024
    """
    from bnnpan_runtime.run import fuse
    from bnnpan_runtime.telemetry.steps import Steps

    if as_json and outputs.events_on_stdout:
        raise click.UsageError("--events - and --json both want standard output; give --events a file")
    outputs.check_apart(*map(Path, (pan, *ms, out, bundle)), *filter(None, (preview, radiometry)))
    use_provider(provider, backend)

    _check_preview(preview, Path(out), tuple(map(Path, (pan, *ms))), overwrite)
    with progress_bar("Fusing") as progress, outputs.opened(Steps(progress)) as telemetry:
        report = fuse(
            pan,
            ms,
            wanted_bundle(bundle, backend),
            out,
            memory=memory,
            backend=backend,
            threads=threads,
            tile=tile,
            bit_depth=bit_depth,
            fallback=fallback,
            trust=trust,
            register=register,
            radiometry=radiometry,
            scene_options=scene_part,
            overwrite=overwrite,
            resume=resume,
            telemetry=telemetry,
            protection=protection,
            finishing=finishing,
            **demanded,
        )
    if preview is not None:
        from bnnpan_runtime.preview import draw_comparison

        draw_comparison(pan, ms, out, preview, report.band_roles, scene_part)
        report = replace(report, measured_peak_bytes=peak_bytes())
    if as_json:
        echo_json(report.to_json())
    elif not outputs.events_on_stdout:
        _print(report)
    if report.missing_tiles:
        click.echo(
            f"bnnpan: the deadline has come: {report.missing_tiles} tiles of {report.product} are missing;"
            " the same command without --deadline completes it",
            err=True,
        )
        raise click.exceptions.Exit(PartialError.exit_code)


def _check_preview(preview: Path | None, out: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
    """Before all work, whether the picture can be put there."""
    from bnnpan_runtime.product.mosaic import check_output

    if preview is None:
        return
    if preview.absolute() == out.absolute():
        raise click.UsageError("--preview and --out name the same file")
    check_output(preview, inputs, overwrite)


def _print(report: FuseReport) -> None:
    refused = "" if report.fallback_reason is None else f"; the network is refused: {report.fallback_reason}"
    if report.method != "network":
        click.echo(f"method    {report.method}, a classical one{refused}")
    key = "" if report.signer_key_id is None else f" ({report.signer_key_id})"
    if report.signer is not None:
        click.echo(f"signer    {report.signer}{key}")
    for note in report.scene_notes:
        click.echo(f"scene     {note}")
    if report.shift.outcome != "off":
        click.echo(f"shift     {report.shift.describe()}")
    if report.saturated_pixels is not None:
        kept = ", less those of kept tiles" if report.resumed_tiles else ""
        click.echo(f"saturated {report.saturated_pixels} of {report.pan_pixels} pixels{kept}")
    _print_demanded(report)
    skipped = f", {report.skipped_tiles} tiles without data skipped" if report.skipped_tiles else ""
    if report.resumed_tiles:
        click.echo(f"resumed   {report.resumed_tiles} tiles of an interrupted run were kept")
    click.echo(
        f"product   {report.product}\n"
        f"sha256    {report.product_sha256}\n"
        f"engine    {report.backend} ({report.isa}), {report.threads} thread{'s' * (report.threads > 1)}\n"
        f"tiles     {report.tile} pixels a side, halo {report.halo}{skipped}\n"
        f"memory    {format_size(report.budget_bytes)} budget, peak"
        f" {format_size(report.predicted_peak_bytes)} predicted and"
        f" {format_size(report.measured_peak_bytes)} measured\n"
        f"speed     {report.pan_pixels / 1e6:.1f} MPix in {report.seconds:.1f} s,"
        f" {report.pan_pixels_per_second / 1e6:.2f} MPix/s"
    )


def _print_demanded(report: FuseReport) -> None:
    """What was asked for besides the product."""
    for name, path in (("thumbnail", report.thumbnail), ("item", report.item)):
        if path is not None:
            click.echo(f"{name:9} {path}")
    if report.mask is not None:
        click.echo(f"mask      {report.mask}")
    quality = report.quality
    if quality is not None and quality.hqnr is not None:
        again = f", {quality.blocks_fell_back} of them made again" if quality.min_hqnr is not None else ""
        click.echo(
            f"quality   HQNR {quality.hqnr:.4f} (D_lambda {quality.d_lambda:.4f}, D_s {quality.d_s:.4f}),"
            f" {quality.blocks} blocks{again}"
        )
    if report.missing_tiles:
        click.echo(f"missing   {report.missing_tiles} tiles, {report.missing_pixels} pixels")
