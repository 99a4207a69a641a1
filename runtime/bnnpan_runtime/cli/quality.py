"""`bnnpan quality`: how good a product is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bnnpan_runtime.cli.options import bit_depth_option, echo_json, json_option, scene_options
from bnnpan_runtime.cli.progress import progress_bar

if TYPE_CHECKING:
    from bnnpan_runtime.scene import SceneOptions

__all__ = ["command"]


@click.command("quality", short_help="Measure how good a product is.")
@scene_options
@click.option("--fused", required=True, metavar="TIF", help="Product to judge.")
@click.option("--truth", metavar="TIF", help="What the product should be, on the same grid.")
@bit_depth_option("11")
@json_option
def command(
    pan: str,
    ms: tuple[str, ...],
    scene_part: SceneOptions,
    fused: str,
    truth: str | None,
    bit_depth: int | None,
    as_json: bool,
) -> None:
    """Compare a product with the truth, or without one with the scene it was made from.

    Plain interpolation of MS is measured next to it. ERGAS, SAM (degrees) and RMSE (DN, per band) are better
    if lower, PSNR (dB) and SCC if higher. Without a truth, the product is reduced to the MS grid and compared
    with MS, and its fine detail is correlated with that of PAN (SCC).

    \b
    Example:
      bnnpan quality --pan pan.tif --ms ms.tif --fused product.tif --truth truth.tif
    """
    from bnnpan_runtime.quality import measure

    with progress_bar("Measuring") as progress:
        report = measure(
            pan, ms, fused, truth, bit_depth=bit_depth or 11, options=scene_part, progress=progress
        )
    scores = report.to_json()
    if as_json:
        echo_json(scores)
        return
    if scores["truth"] is not None:
        _print("against the truth", scores["truth"])
    _print("reduced to the MS grid, against MS", scores["consistency"])
    _print("fine detail against that of PAN", scores["detail"])


def _print(title: str, scores: Mapping[str, Mapping[str, Any]]) -> None:
    """One line per metric, one column per image."""
    click.echo(f"{title:36}" + "".join(f"{image:>14}" for image in scores))
    for metric in next(iter(scores.values())):
        values = [scores[image][metric] for image in scores]
        if isinstance(values[0], list):
            for band, of_band in enumerate(zip(*values, strict=True), 1):
                _print_row(f"{metric} of band {band}", of_band)
        else:
            _print_row(metric, values)


def _print_row(name: str, values: Sequence[float | None]) -> None:
    cells = ("-" if value is None else f"{value:.4f}" for value in values)
    click.echo(f"  {name:34}" + "".join(f"{cell:>14}" for cell in cells))
