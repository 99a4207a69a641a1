"""Weight signs as bits, in the order of Larq Compute Engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.weights import packed_bytes

__all__ = ["Array", "pack_signs", "unpack_signs"]

Array = NDArray[Any]


def pack_signs(weight: Array) -> NDArray[np.uint8]:
    """Signs of `(..., output, input, ky, kx)` as bits, `(..., output, ky, kx, packed_bytes(input))` uint8.

    Input channel i is bit i % 8 of byte i // 8 (little-endian words). A set bit is a negative weight, zero
    counts as positive; unused high bits are 0.
    """
    negative = np.moveaxis(weight < 0, -3, -1)
    padding = 8 * packed_bytes(negative.shape[-1]) - negative.shape[-1]
    widths = [(0, 0)] * (negative.ndim - 1) + [(0, padding)]
    return np.packbits(np.pad(negative, widths), axis=-1, bitorder="little")


def unpack_signs(bits: NDArray[np.uint8], channels: int) -> NDArray[np.float32]:
    """Inverse of `pack_signs`: -1 and +1, `(..., output, channels, ky, kx)` float32."""
    negative = np.unpackbits(bits, axis=-1, count=channels, bitorder="little")
    return np.moveaxis(1 - 2 * negative.astype(np.float32), -1, -3)
