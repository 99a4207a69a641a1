"""How large the tiles of a JPEG 2000 code stream are: GDAL has parts of them for blocks, and does not say."""

from __future__ import annotations

import struct

__all__ = ["tile_shape"]

_START = b"\xff\x4f\xff\x51"
"""Markers SOC and SIZ, which begin every code stream (ISO/IEC 15444-1, annex A)."""

_SIZES = struct.Struct(">2xH8I")
"""Of SIZ, after its marker: Rsiz; width, height and origin of the reference grid; width, height and origin of
its tiles."""

_SEARCHED_BYTES = 2**20


def tile_shape(path: str) -> tuple[int, int] | None:
    """Height and width of the tiles of the first code stream in a file; None if there is none to be found."""
    try:
        with open(path, "rb") as file:
            head = file.read(_SEARCHED_BYTES)
    except OSError:
        return None
    place = head.find(_START)
    sizes = head[place + len(_START) :][: _SIZES.size]
    if place < 0 or len(sizes) < _SIZES.size:
        return None
    _, width, height, left, top, tile_width, tile_height, *_ = _SIZES.unpack(sizes)
    return min(tile_height, height - top), min(tile_width, width - left)
