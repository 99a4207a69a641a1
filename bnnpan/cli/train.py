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
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Continue a stopped run, to the bit.")
def command(config_path: Path, data: Path, out: Path, resume: bool) -> None:
    """Train a network in the three stages of BNNPan.

    \b
    Example:
      bnnpan train --config configs/bgrn-x4.toml --data DATA/manifest.json --out runs/first
      bnnpan train --config configs/bgrn-x4.toml --data DATA/manifest.json --out runs/first --resume
    """
    from bnnpan.config import load_experiment
    from bnnpan.data.source import open_data
    from bnnpan.evaluate import evaluate, relative_ergas
    from bnnpan.model import BNNPan
    from bnnpan.training import train

    experiment = load_experiment(config_path)
    opened = open_data(data, experiment)
    pairs = opened.validation

    def validate(model: BNNPan, true_prior: bool) -> dict[str, float]:
        scores = evaluate(model, pairs, true_prior)
        mean = scores["mean"]["bnnpan"]
        return {"relative_ergas": relative_ergas(scores), "SAM": mean["SAM"], "ERGAS": mean["ERGAS"]}

    train(
        experiment,
        opened.source,
        out,
        provenance={"data": opened.names},
        validate=validate if pairs else None,
        resume=resume,
        report=_show,
    )
    click.echo(f"wrote {out / 'model.safetensors'}")


def _show(line: dict[str, Any]) -> None:
    place = f"stage {line['stage']:<3} {line['step']:>6}/{line['steps']}"
    text = f"{place}  L1 {line['loss']:.5f}  {line['seconds']:.0f} s"
    if "validation" in line:
        text += "  validation " + "  ".join(f"{k} {v:.4f}" for k, v in line["validation"].items())
    click.echo(text, err=True)
