"""What other distributions add to `bnnpan bench`: engines and graphs that need the ground side.

A distribution names a `GroundSide` as an entry point of the group `bnnpan.bench`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Protocol

from bnnpan_runtime.bench.contest import Competitor
from bnnpan_runtime.bench.network import Network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line

__all__ = ["GROUND_BACKENDS", "GroundSide", "ground_side"]

GROUP = "bnnpan.bench"

GROUND_BACKENDS = ("onnx-int8", "onnx-int8-convolutions", "pytorch", "litert-float")
"""Backends that the ground side of this project brings; without it they are listed as not run."""


class GroundSide(Protocol):
    """An entry point of the group: makers of competitors, and of bundles."""

    def competitors(self) -> Sequence[Competitor]:
        """Engines that this distribution knows how to run."""
        ...

    def bundle(self, like: Network, channels: int) -> Bundle:
        """A bundle of the same network with that many channels and random weights.

        It is opened from a temporary file that lasts as long as the process. Raises BackendError.
        """
        ...


def ground_side() -> GroundSide:
    """The installed one. Raises BackendError if there is none, or if it cannot be loaded."""
    found = list(entry_points(group=GROUP))
    if not found:
        raise BackendError("needs the ground side; install bnnpan[export] into this environment")
    try:
        side: GroundSide = found[0].load()
    except Exception as error:  # whatever somebody else's module does must not take the benchmark down
        raise BackendError(f"{found[0].value} cannot be loaded: {one_line(error)}") from error
    return side
