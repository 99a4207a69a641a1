"""A safetensors file from an older one with the same tensors: every tensor by the cheapest of four ways.

same         nothing is stored
difference   floats as integers in the order of their values, minus the old ones; all lowest bytes, then
             all second ones, and so on, so that small differences are zero in whole planes
plain        the new values byte by byte, for tensors that have nothing to do with the old ones
flips        of packed bits: distances between the bits that changed
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.uplink.varint import Reader, put

__all__ = ["make_tensor_patch", "patched_tensors"]

Unsigned = NDArray[Any]

_SAME, _DIFFERENCE, _PLAIN, _FLIPS = range(4)
_MOST_FLIPS = 1 / 8  # of all bits; with more, plain bytes are shorter
_MAX_HEADER_BYTES = 2**20
_WIDTHS = {"F32": 4, "U16": 2, "U8": 1}


@dataclass(frozen=True)
class _Part:
    """One tensor's place in the file."""

    start: int
    end: int
    dtype: str


def make_tensor_patch(old: bytes, new: bytes) -> bytes | None:
    """What `patched_tensors` makes `new` of; None if the two do not hold the same tensors."""
    try:
        parts, start = _parts(old)
    except ValueError:
        return None
    if len(old) != len(new) or old[:start] != new[:start]:
        return None
    ways = [_cheapest(part.dtype, old[part.start : part.end], new[part.start : part.end]) for part in parts]
    return bytes(way for way, _ in ways) + b"".join(content for _, content in ways)


def patched_tensors(old: bytes, patch: bytes) -> bytes:
    """The new file. Raises ValueError if the patch does not fit the old one."""
    parts, start = _parts(old)
    reader = Reader(patch)
    ways = reader.take(len(parts))
    pieces = [old[:start]]
    for part, way in zip(parts, ways, strict=True):
        pieces.append(_restored(part.dtype, old[part.start : part.end], way, reader))
    reader.finish()
    return b"".join(pieces)


def _parts(content: bytes) -> tuple[list[_Part], int]:
    """Tensors in file order, which fill the file from the second value on. Raises ValueError."""
    if len(content) < 8:
        raise ValueError("the old file is too short")
    header_size = struct.unpack_from("<Q", content)[0]
    if header_size > min(_MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError("the old file's header is too long")
    start = 8 + header_size
    try:
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        parts = [
            _Part(start + item["data_offsets"][0], start + item["data_offsets"][1], item["dtype"])
            for item in header.values()
        ]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError("the old file is not of tensors") from error
    parts.sort(key=lambda part: (part.start, part.end))
    position = start
    for part in parts:
        width = _WIDTHS.get(part.dtype) if isinstance(part.dtype, str) else None
        if part.start != position or part.end < part.start or not width or (part.end - part.start) % width:
            raise ValueError("the old file's tensors are not of a bundle")
        position = part.end
    if position != len(content):
        raise ValueError("the old file's tensors do not fill it")
    return parts, start


def _cheapest(dtype: str, old: bytes, new: bytes) -> tuple[int, bytes]:
    if old == new:
        return _SAME, b""
    ways = {_DIFFERENCE: _difference(dtype, old, new), _PLAIN: _planes(_integers(dtype, new))}
    flipped = _flipped(old, new)
    if dtype == "U8" and len(flipped) < _MOST_FLIPS * 8 * len(old):
        ways[_FLIPS] = put(len(flipped)) + b"".join(map(put, np.diff(flipped, prepend=-1).tolist()))
    way = min(ways, key=lambda way: len(zlib.compress(ways[way], 9)))
    return way, ways[way]


def _restored(dtype: str, old: bytes, way: int, reader: Reader) -> bytes:
    if way == _SAME:
        return old
    if way == _FLIPS:
        return _with_flips(old, reader)
    if way not in (_DIFFERENCE, _PLAIN):
        raise ValueError(f"a tensor is stored in an unknown way ({way})")
    integers = _joined(dtype, reader.take(len(old)))
    if way == _DIFFERENCE:
        integers = _unranked(_ranked(_integers(dtype, old)) + _unfolded(integers))
    return integers.tobytes()


def _difference(dtype: str, old: bytes, new: bytes) -> bytes:
    return _planes(_folded(_ranked(_integers(dtype, new)) - _ranked(_integers(dtype, old))))


def _integers(dtype: str, content: bytes) -> Unsigned:
    return np.frombuffer(content, f"<u{_WIDTHS[dtype]}")


def _planes(integers: Unsigned) -> bytes:
    """All lowest bytes, then all second ones, and so on."""
    return integers.view(np.uint8).reshape(-1, integers.itemsize).T.tobytes()


def _joined(dtype: str, planes: bytes) -> Unsigned:
    width = _WIDTHS[dtype]
    rows = np.frombuffer(planes, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(rows.T).reshape(-1).view(f"<u{width}")


def _ranked(integers: Unsigned) -> Unsigned:
    """Bits of floats in the order of their values, so that close values are close; others as they are."""
    if integers.itemsize != 4:
        return integers
    top = np.uint32(1 << 31)
    return np.where(integers & top, ~integers, integers | top)


def _unranked(integers: Unsigned) -> Unsigned:
    if integers.itemsize != 4:
        return integers
    top = np.uint32(1 << 31)
    return np.where(integers & top, integers & ~top, ~integers)


def _folded(differences: Unsigned) -> Unsigned:
    """Differences modulo the width, small ones of either sign as small numbers."""
    one, top = differences.dtype.type(1), differences.dtype.type(8 * differences.itemsize - 1)
    folded: Unsigned = (differences << one) ^ (np.zeros_like(differences) - (differences >> top))
    return folded


def _unfolded(folded: Unsigned) -> Unsigned:
    one = folded.dtype.type(1)
    differences: Unsigned = (folded >> one) ^ (np.zeros_like(folded) - (folded & one))
    return differences


def _flipped(old: bytes, new: bytes) -> NDArray[np.intp]:
    changed = np.frombuffer(old, np.uint8) ^ np.frombuffer(new, np.uint8)
    return np.flatnonzero(np.unpackbits(changed, bitorder="little"))


def _with_flips(old: bytes, reader: Reader) -> bytes:
    bits = np.unpackbits(np.frombuffer(old, np.uint8), bitorder="little")
    position = -1
    for _ in range(reader.number(len(bits))):
        position += reader.number(len(bits))
        if not 0 <= position < len(bits):
            raise ValueError("a flipped bit lies outside its tensor")
        bits[position] ^= 1
    return np.packbits(bits, bitorder="little").tobytes()
