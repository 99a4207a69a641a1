"""What an engine with an allocator of its own takes: as measured at export, or as libbnnpan needs in it."""

from __future__ import annotations

from bnnpan_runtime.contract import Manifest, NetworkShape

__all__ = ["rows_bytes", "window_bytes"]

_UNMEASURED_FIXED_BYTES = 24 * 2**20
_UNMEASURED_PLANES = 12
"""For a bundle without figures: float planes of the trunk that an engine keeps at a time."""


def window_bytes(manifest: Manifest, backend: str, pixels: int) -> int:
    """Memory to fuse one window of that many pixels."""
    model = manifest.memory.get(backend)
    if model is None:
        return _UNMEASURED_FIXED_BYTES + 4 * _UNMEASURED_PLANES * manifest.network.channels * pixels
    return int(model.fixed_bytes + model.bytes_per_window_pixel * pixels)


def rows_bytes(network: NetworkShape, width: int) -> int:
    """At least what libbnnpan keeps of a window of that width inside another engine: rows in flight, float32.

    Twice the features of `engine/window.h`, which leaves room for packed signs, vectors and constants.
    """
    feature_rows = 4 * (network.channels + 4) * (network.blocks + 3)
    image_rows = (network.bands + 1) * (2 * network.blocks + 8)
    return 4 * (width + 64) * (feature_rows + image_rows)
