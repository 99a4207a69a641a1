"""`bnnpan plan`: what a run will take, before anything is allocated."""

from __future__ import annotations

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
from bnnpan_runtime.cli.scene_options import preparation_options
from bnnpan_runtime.cli.trust_options import trust_options
from bnnpan_runtime.memory import MIB

if TYPE_CHECKING:
    from bnnpan_runtime.contract import Plan
    from bnnpan_runtime.finishing.order import Finishing
    from bnnpan_runtime.registration.shift import Register
    from bnnpan_runtime.scene import SceneOptions
    from bnnpan_runtime.trust.policy import Trust

__all__ = ["command"]


@click.command("plan", short_help="Explain what a run will hold in memory.")
@bundle_option
@scene_options
@preparation_options
@memory_option
@backend_option()
@fallback_option
@trust_options
@threads_option
@tile_option
@bit_depth_option("the bundle's; networks in scene units need none")
@finishing_options
@demand_options
@json_option
def command(
    bundle: str,
    pan: str,
    ms: tuple[str, ...],
    memory: int,
    backend: str,
    fallback: bool,
    trust: Trust,
    register: Register,
    radiometry: Path | None,
    scene_part: SceneOptions,
    threads: int,
    tile: int | None,
    bit_depth: int | None,
    finishing: Finishing,
    demanded: dict[str, Any],
    as_json: bool,
) -> None:
    """Explain what `bnnpan fuse` with the same options will hold in memory.

    \b
    Example:
      bnnpan plan --pan pan.tif --ms ms.tif --memory 128MiB
      bnnpan plan --pan pan.tif --ms ms.tif --memory 128MiB --mask mask.tif --quality
    """
    from bnnpan_runtime.run import plan

    decided = plan(
        pan,
        ms,
        wanted_bundle(bundle, backend),
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
        finishing=finishing,
        **demanded,
    )
    if as_json:
        echo_json(decided.to_json())
    else:
        _print(decided)


def _print(plan: Plan) -> None:
    height, width = plan.window
    click.echo(
        f"{plan.tiles} tiles of {plan.tile} pixels a side, windows of {height} x {width} (halo {plan.halo}),"
        f" {plan.threads} thread{'s' * (plan.threads > 1)}, backend {plan.backend}\n"
    )
    if plan.fallback_reason is not None:
        click.echo(f"not the network, which is refused: {plan.fallback_reason}\n")
    totals = {
        "predicted peak": plan.predicted_peak_bytes,
        "budget": plan.budget_bytes,
        "smallest budget": plan.smallest_budget_bytes,
    }
    column = max(map(len, [*plan.terms, *totals]))
    click.echo(f"{'':{column}}  {'MiB':>9}")
    for name, size_bytes in plan.terms.items():
        click.echo(f"{name:{column}}  {size_bytes / MIB:9.2f}")
    click.echo("-" * (column + 11))
    for name, size_bytes in totals.items():
        click.echo(f"{name:{column}}  {size_bytes / MIB:9.2f}")
