"""Scores by pair, method and metric, and what they sum up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

__all__ = ["Scores", "Values", "of_pairs", "summary"]

Values = Mapping[str, Mapping[str, float]]
"""Method -> metric -> value."""

Scores = dict[str, dict[str, dict[str, float]]]
"""Pair -> method -> metric -> value."""


def summary(scores: Mapping[str, Values]) -> dict[str, dict[str, dict[str, float]]]:
    """`mean` and `std` (over N - 1; 0 for one pair): method -> metric -> value.

    A metric is averaged over the pairs that any method has it for; a method that lacks one of them has no
    mean, since it would be one of other pairs.
    """
    mean: dict[str, dict[str, float]] = {}
    deviation: dict[str, dict[str, float]] = {}
    methods = list(dict.fromkeys(method for of_pair in scores.values() for method in of_pair))
    metrics = list(dict.fromkeys(m for of_pair in scores.values() for v in of_pair.values() for m in v))
    for metric in metrics:
        pairs = [of_pair for of_pair in scores.values() if any(metric in v for v in of_pair.values())]
        for method in methods:
            values = [of_pair[method][metric] for of_pair in pairs if metric in of_pair.get(method, {})]
            if len(values) == len(pairs):
                mean.setdefault(method, {})[metric] = float(np.mean(values))
                with np.errstate(invalid="ignore"):  # equal images have an infinite PSNR
                    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                deviation.setdefault(method, {})[metric] = spread
    order = [method for method in methods if method in mean]
    return {"mean": {m: mean[m] for m in order}, "std": {m: deviation[m] for m in order}}


def of_pairs(scores: Scores, names: Iterable[str]) -> Scores:
    """Scores of some pairs only."""
    return {name: scores[name] for name in names}
