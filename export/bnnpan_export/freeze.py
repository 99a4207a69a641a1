"""From a trained network to what flies, in one call."""

from __future__ import annotations

from bnnpan.model import PanSharpener
from bnnpan_export.emit import FrozenNetwork, emit
from bnnpan_export.passes import lowered

__all__ = ["freeze"]


def freeze(model: PanSharpener) -> FrozenNetwork:
    """Every pass in its order, and the tensors of the result.

    Raises `ConfigError` for a network with a part that no engine runs.
    """
    return emit(lowered(model))
