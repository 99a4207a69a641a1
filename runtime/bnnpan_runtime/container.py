"""The zip container of a bundle, read strictly: entries back to back, stored or deflated, nothing else.

A general zip reader tolerates comments, gaps, overlapping entries, 64-bit records and sizes that are not
true, and each of those can hide content or exhaust memory. A bundle needs none of them, so all are refused
here, and no entry is unpacked beyond the size it declares. Records: ZIP specification (APPNOTE 6.3), 4.3.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bnnpan_runtime.errors import BundleError

__all__ = ["MAX_FILE_BYTES", "Entry", "read_directory", "read_entry"]

MAX_FILE_BYTES = 64 * 2**20
"""Of the container, and of all its entries together when unpacked."""

MAX_ENTRIES = 32
_MAX_DIRECTORY_BYTES = 16 * 2**10

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_UTF8_NAME_FLAG = 0x0800
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True)
class Entry:
    """One file: `packed_size` bytes of the container from `offset` on, which unpack to `size`."""

    name: str
    offset: int
    packed_size: int
    size: int
    crc32: int
    deflated: bool


def read_directory(path: Path) -> dict[str, Entry]:
    """List the entries of the container at `path`, in file order, without reading their content.

    Raises BundleError for anything but distinct entries with plain relative names that fill the file exactly
    from its start to its directory, and for sizes beyond any real bundle.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise BundleError(f"{path}: not a file; give the path of a .bnnpan bundle")
        if size > MAX_FILE_BYTES:
            raise BundleError(f"{path}: {size} bytes, a bundle has at most {MAX_FILE_BYTES}")
        with path.open("rb") as file:
            return _parse(path, file, size)
    except OSError as error:
        raise BundleError(f"{path}: cannot read bundle: {error.strerror or error}") from error


def read_entry(path: Path, entry: Entry) -> bytes:
    """Content of one entry, its CRC-32 checked. Raises BundleError if it cannot be read or differs."""
    try:
        with path.open("rb") as file:
            file.seek(entry.offset)
            packed = file.read(entry.packed_size)
    except OSError as error:
        raise BundleError(f"{path}: cannot read {entry.name}: {error.strerror or error}") from error
    content = _inflated(packed, entry.size) if entry.deflated else packed
    if content is None or len(content) != entry.size or zlib.crc32(content) != entry.crc32:
        raise BundleError(f"{path}: {entry.name} is damaged (checksum differs); copy the bundle again")
    return content


def _inflated(packed: bytes, size: int) -> bytes | None:
    """Unpacked content, at most one byte more than `size`; None unless it is one whole deflate stream."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(packed, size + 1)
    except zlib.error:
        return None
    return content if inflater.eof and not inflater.unused_data else None


def _parse(path: Path, file: BinaryIO, size: int) -> dict[str, Entry]:
    count, directory = _read_end(path, file, size)
    directory_start = size - _END.size - len(directory)
    entries: dict[str, Entry] = {}
    position = data_end = unpacked_bytes = 0
    for _ in range(count):
        if position + _CENTRAL.size > len(directory):
            raise _damaged(path, "its directory is cut off")
        record = _CENTRAL.unpack_from(directory, position)
        signature, flags, method = record[0], record[3], record[4]
        crc32, packed, unpacked, name_size, extra_size, comment_size = record[7:13]
        raw_name = directory[position + _CENTRAL.size :][:name_size]
        position += _CENTRAL.size + name_size + extra_size + comment_size
        if signature != b"PK\x01\x02" or len(raw_name) != name_size:
            raise _damaged(path, "its directory is malformed")
        name = _plain_name(path, raw_name)
        if name in entries:
            raise _damaged(path, f"{name} is in it twice")
        if method not in (_STORED, _DEFLATED) or (method == _STORED and packed != unpacked):
            raise _damaged(path, f"{name} is neither stored nor deflated")
        unpacked_bytes += unpacked
        if unpacked_bytes > MAX_FILE_BYTES:
            raise _damaged(path, f"its entries unpack to more than {MAX_FILE_BYTES} bytes")
        if flags & ~_UTF8_NAME_FLAG:
            raise _damaged(path, f"{name} uses zip features (flags {flags:#x}) that bundles do not have")
        if extra_size or comment_size:
            raise _damaged(path, f"{name} carries extra fields or a comment")
        if record[16] != data_end:
            raise _damaged(path, f"{name} does not follow the entry before it")
        expected = (flags, method, crc32, packed, unpacked, name_size, 0)
        offset = _data_offset(path, file, record[16], raw_name, expected)
        data_end = offset + packed
        if data_end > directory_start:
            raise _damaged(path, f"{name} reaches beyond its end")
        entries[name] = Entry(name, offset, packed, unpacked, crc32, method == _DEFLATED)
    if position != len(directory) or data_end != directory_start:
        raise _damaged(path, "it holds bytes that belong to no entry")
    return entries


def _read_end(path: Path, file: BinaryIO, size: int) -> tuple[int, bytes]:
    """Number of entries and the raw central directory."""
    if size < _END.size:
        raise _damaged(path, "it is too short")
    file.seek(size - _END.size)
    signature, disk, start_disk, here, count, length, start, comment = _END.unpack(file.read(_END.size))
    if signature != b"PK\x05\x06" or comment:
        raise _damaged(path, "it does not end in a zip directory (cut off, or not a bundle)")
    if disk or start_disk or here != count or count > MAX_ENTRIES or length > _MAX_DIRECTORY_BYTES:
        raise _damaged(path, f"its directory claims {count} entries in {length} bytes")
    if start + length + _END.size != size:
        raise _damaged(path, "its directory is not where it should be")
    file.seek(start)
    return count, file.read(length)


def _data_offset(path: Path, file: BinaryIO, start: int, raw_name: bytes, expected: tuple[int, ...]) -> int:
    """Where an entry's bytes begin; its local header must say the same as the directory."""
    file.seek(start)
    header = file.read(_LOCAL.size)
    if len(header) == _LOCAL.size:
        record = _LOCAL.unpack(header)
        same = (b"PK\x03\x04", *expected) == (record[0], record[2], record[3], *record[6:11])
        if same and file.read(len(raw_name)) == raw_name:
            return start + _LOCAL.size + len(raw_name)
    raise _damaged(path, f"{raw_name.decode('ascii')} and its directory record disagree")


def _plain_name(path: Path, raw: bytes) -> str:
    try:
        name = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise _damaged(path, f"entry name {raw!r} is not ASCII") from error
    escapes = any(part in ("", ".", "..") for part in name.split("/"))
    if escapes or not name.isprintable() or "\\" in name or ":" in name:
        raise _damaged(path, f"entry name {name!r} is not a plain relative path")
    return name


def _damaged(path: Path, what: str) -> BundleError:
    return BundleError(f"{path}: not a usable bundle: {what}")
