"""What one training step sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Batch", "stacked"]

Array = TypeVar("Array")


class Batch(NamedTuple, Generic[Array]):
    """Patches in network units: arrays as a source draws them, or tensors of a step.

    The first axis of every field counts the patches, so that a batch can be split along it.
    """

    pan: Array
    """`(n, 1, height, width)` float32."""
    lms: Array
    """`(n, bands, height, width)` float32."""
    truth: Array
    """`(n, bands, height, width)` float32."""
    level: Array
    """`(n, bands)` float32: what 0 of a band stands for, in DN over the bit depth."""
    contrast: Array
    """`(n, bands)` float32: what 1 of a band adds to it."""


Arrays = Batch[NDArray[np.float32]]
"""A batch as a source draws it."""


def stacked(patches: Sequence[Arrays]) -> Arrays:
    """One batch of single patches, whose arrays lack the first axis."""
    return Batch(*(np.stack(parts) for parts in zip(*patches, strict=True)))
