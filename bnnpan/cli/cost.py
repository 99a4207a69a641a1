"""`bnnpan cost`: parameters and operations of networks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.options import echo_json, json_option

if TYPE_CHECKING:
    from bnnpan.model.config import ModelConfig


@click.command("cost", short_help="Count parameters and operations of networks.")
@click.argument("network", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--size",
    type=click.IntRange(min=2),
    default=256,
    show_default=True,
    help="Side of the image in PAN pixels, even.",
)
@json_option
def command(network: tuple[Path, ...], size: int, as_json: bool) -> None:
    """Count what each NETWORK (a run folder, a model.safetensors or an experiment's TOML) costs.

    Operations are multiply-accumulates. They and parameters are counted twice: each as one, and a binary
    parameter as 1/32, a binary operation as 1/64, as binary networks are compared. Fusing is paid for every
    pixel, the prior once per scene.

    \b
    Example:
      bnnpan cost configs/bgrn-x4.toml configs/bgrn-x4-lite.toml
      bnnpan cost runs/first --size 64 --json
    """
    from bnnpan.model.cost import cost_table, network_cost

    if size % 2:
        raise click.UsageError(f"--size {size} is odd; the wavelet needs an even one")
    configs = {str(path): _model_config(path) for path in network}
    if as_json:
        echo_json({name: asdict(network_cost(config, size, size)) for name, config in configs.items()})
    else:
        click.echo(cost_table(configs, size, size), nl=False)


def _model_config(path: Path) -> ModelConfig:
    from bnnpan.checkpoint import load_model
    from bnnpan.config import load_experiment

    return load_experiment(path).model if path.suffix == ".toml" else load_model(path)[1].model
