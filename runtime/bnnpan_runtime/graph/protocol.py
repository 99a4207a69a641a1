"""What every engine that runs the network offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class BackendMemory:
    """Memory for one window in flight, beyond its inputs and output.

    arena_bytes    scratch that the caller allocates once and passes to `fuse`
    library_bytes  what the engine's own allocator takes on top
    """

    arena_bytes: int
    library_bytes: int


class Backend(Protocol):
    """Runs the two graphs of one bundle. `fuse` may be called from several threads, one arena each.

    Images are in network units (DN / dn_scale), C-contiguous float32; height and width are even.
    """

    name: str
    isa: str
    fixed_window: int | None
    """Side of the only window the graph takes, or None for any."""

    def memory(self, height: int, width: int) -> BackendMemory:
        """What one window of that size needs."""
        ...

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What `calibrate` takes beyond its inputs, and gives back, for `count` patches `patch x patch`."""
        ...

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines `(blocks, 2, channels)` of a scene from its patches.

        PAN is `(count, 1, patch, patch)`, LMS `(count, bands, patch, patch)`.
        """
        ...

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse PAN `(1, height, width)` and LMS `(bands, height, width)` into `out`, shaped like LMS."""
        ...
