"""One network next to plain interpolation at reduced resolution: what training watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bnnpan.data.pairs import Pair
from bnnpan.evaluate.evaluation import run
from bnnpan.evaluate.methods import INTERPOLATION, Method, baseline_methods
from bnnpan.evaluate.network import fuse_frozen
from bnnpan.evaluate.scene import Scene
from bnnpan.evaluate.scores import summary
from bnnpan.model import PanSharpener

__all__ = ["evaluate", "relative_ergas"]

_NETWORK = "bnnpan"


def evaluate(model: PanSharpener, pairs: Iterable[Pair], true_prior: bool = False) -> dict[str, Any]:
    """Scores of a network, named "bnnpan" whatever it is, and of interpolation: `pairs`, `mean` and `std`."""
    network = Method(
        _NETWORK, lambda scene: fuse_frozen(model, scene, scene.gt if true_prior else None), is_network=True
    )
    # The phase is told to full-resolution scores and classical methods, of which there are none.
    scenes = [Scene.reduced(pair, "centred") for pair in pairs]
    scores = run(scenes, [], [network, *baseline_methods([INTERPOLATION])]).scores
    return {"pairs": scores, **summary(scores)}


def relative_ergas(scores: Mapping[str, Any]) -> float:
    """Mean over pairs of ERGAS over that of plain interpolation: one number to watch, 1.0 is no gain."""
    shares = [one[_NETWORK]["ERGAS"] / one[INTERPOLATION]["ERGAS"] for one in scores["pairs"].values()]
    return float(np.mean(shares))
