"""Compare runs: ERGAS and SAM of each on every validation pair and on all pairs of sensors they never saw.

python tests/bench/trials.py runs/scene-units runs/bit-depth --data DATA

Prints Markdown tables as in docs/trials.md. Runs that differ by `-seed-N` only share a row, their mean.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bnnpan.data.manifest import read_items
from bnnpan.data.source import manifest_path
from bnnpan.evaluate.evaluation import run
from bnnpan.evaluate.methods import Network, baseline_methods, common_phase, load_networks
from bnnpan.evaluate.scenes import Wanted, open_scenes
from bnnpan.evaluate.scores import Scores

REFERENCE = "MTF-GLP-FS"
"""The classical method that ERGAS is compared with: the best on the public pairs for its cost."""


def main() -> None:
    """Print a table per metric."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    networks = [network for path in options.runs for network in load_networks([path])]
    named = [(run_name(path), network) for path, network in zip(options.runs, networks, strict=True)]
    unseen, scores = scored(named, options.data)
    for metric in ("ERGAS", "SAM"):
        print_table(metric, scores, unseen)


def run_name(path: Path) -> str:
    """The name of a run's folder without its seed."""
    return re.sub(r"-seed-\d+$", "", path.resolve().name)


def scored(named: Sequence[tuple[str, Network]], data: Path) -> tuple[list[str], dict[str, list[Scores]]]:
    """Pairs of sensors left out, and scores of all pairs by row."""
    config = named[0][1].experiment
    kinds = config.data.leave_out
    left_out = tuple(
        item["name"]
        for item in read_items(manifest_path(data), "train")
        if item["name"].split("_")[0] in kinds
    )
    geometry = {"bands": config.data.bands, "ratio": config.model.ratio}
    phase = common_phase([network for _, network in named])
    scenes = open_scenes([data], Wanted(phase=phase, **geometry))
    if left_out:
        scenes = open_scenes([data], Wanted(split="train", phase=phase, names=left_out, **geometry)) + scenes
    classical = run(scenes, [], baseline_methods(["EXP", REFERENCE])).scores
    rows = {name: [only(classical, name)] for name in ("EXP", REFERENCE)}
    for name, network in named:
        rows.setdefault(name, []).append(only(run(scenes, [network], []).scores, network.name))
    unseen = [scene.name for scene in scenes if scene.name.split("_")[0] in kinds]
    return unseen, rows


def only(scores: Scores, method: str) -> Scores:
    """The scores of one method, under the name that rows of any method share."""
    return {pair: {"": methods[method]} for pair, methods in scores.items()}


def print_table(metric: str, rows: dict[str, list[Scores]], unseen: Sequence[str]) -> None:
    """One row per run, means over seeds; the last columns are mean shares of the reference's value."""
    pairs = list(next(iter(rows.values()))[0])
    seen = [pair for pair in pairs if pair not in unseen]
    print(f"\n| {metric} | {' | '.join(pairs)} | unseen | seen |")
    print("|---|" + "---:|" * (len(pairs) + 2))
    for name, several in rows.items():
        values = {pair: float(np.mean([one[pair][""][metric] for one in several])) for pair in pairs}
        base = {pair: rows[REFERENCE][0][pair][""][metric] for pair in pairs}
        means = [share(values, base, group) for group in (unseen, seen)]
        cells = [f"{values[pair]:.2f}" for pair in pairs] + [f"{mean:.3f}" for mean in means]
        seeds = f" ({len(several)} seeds)" if len(several) > 1 else ""
        print(f"| {name}{seeds} | {' | '.join(cells)} |")


def share(values: dict[str, float], base: dict[str, float], pairs: Iterable[str]) -> float:
    """Mean over pairs of a value over that of the reference; NaN without pairs."""
    ratios = [values[pair] / base[pair] for pair in pairs]
    return float(np.mean(ratios)) if ratios else float("nan")


if __name__ == "__main__":
    main()
