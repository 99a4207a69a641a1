"""New content as pieces of old content, and what lies between them.

The graphs of a bundle hold the same numbers as its weights, byte by byte for the most part. So they are made
of their older self and of the *new* weights, and what is left is a few numbers in another order. Steps of a
splice: length of the bytes between, those bytes, length of the piece, where it begins in the source. Where
old and new are of one size, the bytes between are stored as their exclusive or, which is nearly all zeros.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bnnpan_runtime.uplink.varint import Reader, put

__all__ = ["make_splice", "spliced"]

_BLOCK = 16
"""Shortest piece looked for: with less, a step costs more than it saves."""

_STRIDE = 8
_MOST_PLACES = 2**18


def make_splice(old: bytes, reference: bytes, new: bytes) -> bytes:
    """What `spliced` makes `new` of."""
    parts = []
    end = 0  # of the last piece, in the source
    literal_start = 0
    for start, size, source in [*_pieces(old, reference, new), (len(new), 0, 0)]:
        literal = _between(old, len(new), new[literal_start:start], literal_start)
        parts += [put(len(literal)), literal, put(size)]
        if size:
            parts.append(put(_folded(source - end)))
            end = source + size
        literal_start = start + size
    return b"".join(parts)


def spliced(old: bytes, reference: bytes, size: int, steps: bytes) -> bytes:
    """Content of `size` bytes from pieces of `old` and `reference`. Raises ValueError for other steps."""
    reader, source = Reader(steps), old + reference
    new = bytearray()
    end = 0
    while True:
        literal = reader.take(reader.number(size - len(new)))
        new += _between(old, size, literal, len(new))
        length = reader.number(size - len(new))
        if not length:
            break
        end += _unfolded(reader.number(2 * len(source) + 1))
        if not 0 <= end <= len(source) - length:
            raise ValueError("a piece lies outside its source")
        new += source[end : end + length]
        end += length
    reader.finish()
    if len(new) != size:
        raise ValueError(f"{len(new)} bytes came of it instead of {size}")
    return bytes(new)


def _between(old: bytes, new_size: int, literal: bytes, position: int) -> bytes:
    """Bytes between pieces to or from their stored form, which is the same."""
    if len(old) != new_size:
        return literal
    there = np.frombuffer(old, np.uint8, len(literal), position) if literal else np.empty(0, np.uint8)
    return (np.frombuffer(literal, np.uint8) ^ there).tobytes()


def _pieces(old: bytes, reference: bytes, new: bytes) -> Iterator[tuple[int, int, int]]:
    """Where in `new` a piece lies, its size, and where in the source; in order, without overlap."""
    source = old + reference
    places = _places(source)
    position = free = 0
    while position <= len(new) - _BLOCK:
        block = new[position : position + _BLOCK]
        # The same place in the old content is the cheapest to name.
        same = len(old) == len(new) and source[position : position + _BLOCK] == block
        place = position if same else places.get(block)
        if place is None:
            position += 1
            continue
        back = _common_before(new, position, source, place, position - free)
        start, place = position - back, place - back
        size = _common(new, start, source, place)
        yield start, size, place
        position = free = start + size


def _places(source: bytes) -> dict[bytes, int]:
    stride = max(_STRIDE, len(source) // _MOST_PLACES)
    places: dict[bytes, int] = {}
    for place in range(0, len(source) - _BLOCK + 1, stride):
        places.setdefault(source[place : place + _BLOCK], place)
    return places


def _common(a: bytes, i: int, b: bytes, j: int) -> int:
    """How many bytes of `a` from `i` on and of `b` from `j` on are the same."""
    size, limit, step = 0, min(len(a) - i, len(b) - j), _BLOCK
    while step:
        if size + step <= limit and a[i + size : i + size + step] == b[j + size : j + size + step]:
            size += step
            step *= 2
        else:
            step //= 2
    return size


def _common_before(a: bytes, i: int, b: bytes, j: int, limit: int) -> int:
    size = 0
    while size < min(limit, j) and a[i - size - 1] == b[j - size - 1]:
        size += 1
    return size


def _folded(number: int) -> int:
    """A signed number as one >= 0: 0, -1, 1, -2, ..."""
    return 2 * number if number >= 0 else -2 * number - 1


def _unfolded(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2
