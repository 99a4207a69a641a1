"""`bnnpan evaluate`: scores of a trained network next to plain interpolation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click


@click.command("evaluate", short_help="Score a trained network.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data manifest or its folder.")
@click.option("--split", type=click.Choice(["val", "test"]), default="val", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all scores to this file.")
def command(run: Path, data: Path, split: Literal["val", "test"], json_path: Path | None) -> None:
    """Score RUN (a run folder or its model.safetensors) by the reduced-resolution protocol.

    Every pair is calibrated once and then fused with frozen affines, as on board.

    \b
    Example:
      bnnpan evaluate runs/first --data DATA/manifest.json --json scores.json
    """
    from bnnpan.checkpoint import load_model
    from bnnpan.data.pairs import load_pairs
    from bnnpan.data.source import manifest_path
    from bnnpan.evaluate import evaluate
    from bnnpan_runtime.errors import ConfigError

    model, experiment, _ = load_model(run)
    config = experiment.data
    pairs = load_pairs(manifest_path(data), split, config.bands, experiment.model.ratio, config.phase)
    if not pairs:
        raise ConfigError(f"{data}: no pair of split {split!r} has the bands {', '.join(config.bands)}")
    scores = evaluate(model, pairs)
    click.echo(table(scores))
    if json_path is not None:
        json_path.write_text(json.dumps(scores, indent=2) + "\n")


def table(scores: dict[str, Any]) -> str:
    """Scores as aligned text, one row per pair and method, the mean last."""
    rows = [*scores["pairs"].items(), ("mean", scores["mean"])]
    metrics = list(next(iter(scores["mean"].values())))
    lines = [f"{'pair':<20} {'method':<8} " + " ".join(f"{m:>9}" for m in metrics)]
    for name, methods in rows:
        for method, values in methods.items():
            lines.append(f"{name:<20} {method:<8} " + " ".join(f"{values[m]:9.4f}" for m in metrics))
    return "\n".join(lines)
