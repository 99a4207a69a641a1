"""Fold affines: real weights become signs, and every constant factor around them one number per channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnnpan_export.graph.network import Network
from bnnpan_export.graph.unit import LatentWeight, Signs, TrainedEpilogue, Unit

__all__ = ["fold_affines"]


def fold_affines(network: Network) -> Network:
    """Weights to signs and a scale per filter, a division by lambda to a product with its inverse.

    Exact: the reference computes the same scale before every use.
    """
    return network.with_units(_folded)


def _folded(unit: Unit) -> Unit:
    assert isinstance(unit.weight, LatentWeight) and isinstance(unit.epilogue, TrainedEpilogue)
    signs = np.where(unit.weight.values < 0, -1, 1).astype(np.int8)
    return replace(unit, weight=Signs(signs), epilogue=unit.epilogue.folded())
