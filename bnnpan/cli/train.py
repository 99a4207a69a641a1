"""`bnnpan train`: from a configuration and data to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("train", short_help="Train a network.")
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), required=True, help="Experiment, TOML."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Data manifest, its folder, or a PanCollection .h5.",
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    help="Validate on other data: a manifest's validation split, or a PanCollection .h5.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Continue a stopped run, to the bit.")
def command(config_path: Path, data: Path, validation: Path | None, out: Path, resume: bool) -> None:
    """Train a network: BNNPan in its three stages, or one to compare with.

    Several processes train together when started by torchrun; a step sees the same patches as with one.

    \b
    Example:
      bnnpan train --config configs/bgrn-x4.toml --data DATA/manifest.json --out runs/first
      bnnpan train --config configs/bgrn-x4.toml --data DATA/manifest.json --out runs/first --resume
      bnnpan train --config configs/wv3-x4.toml --data train_wv3.h5 --validation valid_wv3.h5 --out runs/wv3
      torchrun --nproc-per-node 4 -m bnnpan_runtime train --config ... --data ... --out ...
    """
    from bnnpan.config import load_experiment
    from bnnpan.data.source import open_data
    from bnnpan.training import train
    from bnnpan.training.processes import is_first_process
    from bnnpan.training.validation import Validation

    experiment = load_experiment(config_path)
    opened = open_data(data, experiment, validation)
    train(
        experiment,
        opened.source,
        out,
        provenance={"data": opened.names, "data_sha256": opened.digest},
        validate=Validation(opened.validation) if opened.validation else None,
        resume=resume,
        report=_show,
    )
    if is_first_process():
        click.echo(f"wrote {out / 'model.safetensors'}")


def _show(line: dict[str, Any]) -> None:
    place = f"stage {line['stage']:<3} {line['step']:>6}/{line['steps']}"
    text = f"{place}  loss {line['loss']:.5f}  {line['seconds']:.0f} s"
    if "validation" in line:
        text += "  validation " + "  ".join(f"{k} {v:.4f}" for k, v in line["validation"].items())
    click.echo(text, err=True)
