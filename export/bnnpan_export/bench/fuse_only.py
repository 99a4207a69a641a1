"""What engines have in common that are timed and nothing else."""

from __future__ import annotations

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import BackendMemory, Float32

__all__ = ["FuseOnly"]


class FuseOnly:
    """A backend but for `fuse`: it does not calibrate, and its memory is not known."""

    fixed_window: int | None = None

    def memory(self, height: int, width: int) -> BackendMemory:
        """Not known."""
        return BackendMemory(0, 0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """Not known."""
        return 0

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Only `fuse` is timed. Raises BackendError."""
        raise BackendError("only fuse is timed")
