"""What an engine with an allocator of its own takes, by figures measured at export."""

from __future__ import annotations

from bnnpan_runtime.contract import Manifest, calibration_memory

__all__ = ["patches_bytes", "window_bytes"]

_UNMEASURED_FIXED_BYTES = 24 * 2**20
_UNMEASURED_PLANES = 12
"""For a bundle without figures: float planes of the trunk that an engine keeps at a time."""


def window_bytes(manifest: Manifest, backend: str, pixels: int) -> int:
    """Memory to fuse one window of that many pixels."""
    model = manifest.memory.get(backend)
    if model is None:
        return _UNMEASURED_FIXED_BYTES + 4 * _UNMEASURED_PLANES * manifest.network.channels * pixels
    return int(model.fixed_bytes + model.bytes_per_window_pixel * pixels)


def patches_bytes(manifest: Manifest, backend: str, count: int, patch: int) -> int:
    """Memory to calibrate on `count` patches at once; without a figure, that of as large a window."""
    model = manifest.memory.get(calibration_memory(backend))
    pixels = count * patch * patch
    return window_bytes(manifest, backend, pixels) if model is None else model.fixed_bytes
