"""What a run is judged by while it trains: scores over validation pairs, and a picture of a fixed crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.pairs import Pair
from bnnpan.evaluate import evaluate, fuse_pair, relative_ergas
from bnnpan.evaluate.pictures import colours, limits, most_detailed
from bnnpan.model import PanSharpener

CROP = 256
"""Side of the square that is drawn, in PAN pixels."""

_GAP = 6


class Judged(NamedTuple):
    """Scores by name, and LMS, fused and truth side by side, `(3, height, width)`."""

    scores: dict[str, float]
    picture: NDArray[np.uint8]


class Validation:
    """Judges a network by pairs, the first of which is drawn."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._crop = _detail_of(pairs[0])

    def __call__(self, model: PanSharpener, true_prior: bool) -> Judged:
        """Judge a network in evaluation mode; `true_prior` while nothing predicts the prior yet."""
        scores = evaluate(model, self._pairs, true_prior)
        mean = scores["mean"]["bnnpan"]
        numbers = {"relative_ergas": relative_ergas(scores), "SAM": mean["SAM"], "ERGAS": mean["ERGAS"]}
        return Judged(numbers, side_by_side(self._crop, fuse_pair(model, self._crop, true_prior)))


def side_by_side(pair: Pair, fused: NDArray[np.float32]) -> NDArray[np.uint8]:
    """LMS, fused image and truth in true colour under the stretch of the truth."""
    shown = [pair.bands.index(role) for role in ("red", "green", "blue") if role in pair.bands]
    shown = shown if len(shown) == 3 else [0, 0, 0]
    stretch = limits(pair.gt, pair.valid)
    lms, result, truth = (colours(image, shown, stretch, pair.valid) for image in (pair.lms, fused, pair.gt))
    gap = np.full((3, pair.gt.shape[1], _GAP), 255, np.uint8)
    return np.concatenate([lms, gap, result, gap, truth], axis=2)


def _detail_of(pair: Pair) -> Pair:
    rows, columns = most_detailed(pair.pan[0], pair.valid, [CROP])
    cut = np.s_[..., rows, columns]
    return replace(pair, pan=pair.pan[cut], lms=pair.lms[cut], gt=pair.gt[cut], valid=pair.valid[cut])
