"""A block of pixels compressed as TIFF has it: deflated differences of pixels, or of the bytes of floats."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.units import Pixels

__all__ = ["TileCodec"]

_EFFORT = 1
"""Of 9. More takes three times as long and saves a twentieth."""

_ROWS = 32
"""Rows at a time, so that temporaries stay small."""

DIFFERENCES, FLOATING_POINT = 2, 3
"""Predictors (TIFF 6.0, section 14; Adobe TIFF Technical Note 3)."""


class TileCodec:
    """Compresses blocks of one dtype; numbers are little-endian."""

    def __init__(self, dtype: str) -> None:
        self._is_float = np.dtype(dtype).kind == "f"
        self.predictor = FLOATING_POINT if self._is_float else DIFFERENCES

    def encode(self, block: Pixels) -> bytes:
        """The bytes of a block `(rows, columns, bands)`."""
        deflate = zlib.compressobj(_EFFORT)
        predict = _bytes_of_floats if self._is_float else _differences
        starts = range(0, len(block), _ROWS)
        parts = [deflate.compress(predict(block[top : top + _ROWS]).data) for top in starts]
        return b"".join([*parts, deflate.flush()])


def _differences(rows: Pixels) -> NDArray[np.uint8]:
    """Each pixel less its left neighbour, modulo the size of its dtype."""
    plain = rows.astype(rows.dtype.newbyteorder("<"))
    numbers = plain.view(f"<u{plain.itemsize}")
    numbers[:, 1:] -= numbers[:, :-1].copy()
    return numbers.view(np.uint8).reshape(-1)


def _bytes_of_floats(rows: Pixels) -> NDArray[np.uint8]:
    """Of each row all first bytes of its numbers (sign, exponent), all second ones, ...; as differences."""
    height, width, bands = rows.shape
    numbers = rows.astype(rows.dtype.newbyteorder(">")).view(np.uint8).reshape(height, width * bands, -1)
    planes = numbers.transpose(0, 2, 1).reshape(height, -1)
    planes[:, bands:] -= planes[:, :-bands].copy()
    return planes.reshape(-1)
