"""Directories of TIFF files: fields by their tags, read from a file and written again in another order.

TIFF 6.0, section 2, and BigTIFF, whose counts and offsets have 64 bits; little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Directory", "Field", "FieldType", "encode_directories", "read_directory"]

_BIG = 43
"""Version of a TIFF whose offsets have 64 bits."""


class FieldType:
    """Codes of types of numbers."""

    ASCII, SHORT, LONG, LONG8 = 2, 3, 4, 16


_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1)) | dict.fromkeys((16, 17, 18), 8)
"""Of one value, by the code of its type."""

_DTYPES = {FieldType.SHORT: "<u2", FieldType.LONG: "<u4", FieldType.LONG8: "<u8"}


@dataclass(frozen=True)
class Field:
    """Values of one type, as they lie in the file."""

    code: int
    count: int
    data: bytes

    @classmethod
    def of(cls, code: int, values: Sequence[int]) -> Field:
        """A field of numbers."""
        return cls(code, len(values), np.asarray(values, _DTYPES[code]).tobytes())

    @classmethod
    def text(cls, text: bytes) -> Field:
        """A field of characters."""
        data = text + b"\0"
        return cls(FieldType.ASCII, len(data), data)


Directory = Mapping[int, Field]
"""Fields by tag."""


@dataclass(frozen=True)
class _Form:
    """How a directory is laid out: number of entries, entry, offset."""

    entries: struct.Struct
    entry: struct.Struct
    offset: struct.Struct

    @classmethod
    def of(cls, is_big: bool) -> _Form:
        names = ("<Q", "<HHQ8s", "<Q") if is_big else ("<H", "<HHI4s", "<I")
        return cls(*map(struct.Struct, names))


def read_directory(file: bytes) -> tuple[dict[int, Field], bool]:
    """The first directory of a file, and whether it is a BigTIFF. Raises OSError if it is no such file."""
    if file[:2] != b"II":
        raise OSError("the layout is not little-endian TIFF")
    is_big = struct.unpack_from("<H", file, 2)[0] == _BIG
    form = _Form.of(is_big)
    (start,) = form.offset.unpack_from(file, 8 if is_big else 4)
    (count,) = form.entries.unpack_from(file, start)
    first = start + form.entries.size
    fields: dict[int, Field] = {}
    for place in range(first, first + count * form.entry.size, form.entry.size):
        tag, code, values, inline = form.entry.unpack_from(file, place)
        size = values * _BYTES[code]
        at = form.offset.unpack(inline)[0]
        fields[tag] = Field(code, values, inline[:size] if size <= len(inline) else file[at : at + size])
    return fields, is_big


def encode_directories(directories: Sequence[Directory], is_big: bool, ghost: bytes) -> bytes:
    """Header of a file, then `ghost`, which readers of directories pass over, then all directories.

    Each has its values behind it, and refers to the next.
    """
    form = _Form.of(is_big)
    header = b"II" + (struct.pack("<HHH", _BIG, 8, 0) if is_big else struct.pack("<H", 42))
    out = bytearray(header + bytes(form.offset.size) + ghost)
    link = len(header)
    for directory in directories:
        _align(out)
        out[link : link + form.offset.size] = form.offset.pack(len(out))
        link = _append(out, directory, form)
    return bytes(out)


def _append(out: bytearray, directory: Directory, form: _Form) -> int:
    """A directory and behind it the values that do not fit into it; where its link to the next one lies."""
    start = len(out)
    link = start + form.entries.size + len(directory) * form.entry.size
    values_at = link + form.offset.size
    entries, values = form.entries.pack(len(directory)), bytearray()
    for tag, field in sorted(directory.items()):
        inline = field.data
        if len(inline) > form.offset.size:
            inline = form.offset.pack(values_at + len(values))
            values += field.data
            _align(values)
        entries += form.entry.pack(tag, field.code, field.count, inline)
    out += entries + bytes(form.offset.size) + values
    return link


def _align(data: bytearray) -> None:
    data += bytes(len(data) % 2)
