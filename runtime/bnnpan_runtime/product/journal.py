"""The journal of a run: which blocks of its product are finished, and how to tell that they still are.

A header tells which run the journal is of and how its product lies in the file. After it comes a record per
finished block, with the block's checksum, appended only when the disk holds the block. Header and records
have fixed sizes and check themselves, so a reader allocates nothing by what a journal says, and drops what a
crash has torn off or a flipped bit has damaged. All numbers are little-endian.

    header   "BNNPANJ1", then digests: settings 32, inputs 32, constants 32, frame 32 bytes;
             u64 first byte of the blocks, u64 bytes of the file, u32 blocks, u32 bytes of a block; u32 CRC-32
    record   u32 block, digest 16 bytes, a note as long as the run's notes are (0 bytes if it takes none);
             u32 CRC-32, begun with that of the header: records of an earlier journal in the same place on the
             disk are none of this one
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from bnnpan_runtime.product.block_file import DIGEST_BYTES, BlockFile

__all__ = ["HEADER_BYTES", "RECORD_BYTES", "DamagedJournal", "Header", "Identity", "Journal", "Record"]

_MAGIC = b"BNNPANJ1"
_HEADER = struct.Struct("<8s32s32s32s32sQQII")
_RECORD = struct.Struct(f"<I{DIGEST_BYTES}s")
_CRC = struct.Struct("<I")

HEADER_BYTES = _HEADER.size + _CRC.size
RECORD_BYTES = _RECORD.size + _CRC.size

_MOST_RECORDS = 8
"""Per block: each run that continues adds one for each block it had to make again."""


class DamagedJournal(ValueError):
    """The bytes are not the header of a journal that this program knows."""


@dataclass(frozen=True)
class Identity:
    """SHA-256 digests of everything the pixels of a product depend on."""

    settings: bytes
    inputs: bytes
    constants: bytes


@dataclass(frozen=True)
class Header:
    """What run a journal is of, and where the blocks of its product lie."""

    identity: Identity
    frame: bytes
    first_byte: int
    file_bytes: int
    blocks: int
    block_bytes: int

    @classmethod
    def of(cls, identity: Identity, file: BlockFile) -> Header:
        """The header for a file that has just been laid out. Raises OSError."""
        grid = file.grid
        return cls(identity, file.frame_digest(), file.first_byte, file.size, grid.count, grid.block_bytes)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read the first `HEADER_BYTES` of a journal. Raises DamagedJournal."""
        if len(data) < HEADER_BYTES:
            raise DamagedJournal("it ends within its header")
        packed = data[: _HEADER.size]
        if _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(packed):
            raise DamagedJournal("its header does not match its checksum")
        magic, settings, inputs, constants, frame, *places = _HEADER.unpack(packed)
        if magic != _MAGIC:
            raise DamagedJournal("it is of another version")
        return cls(Identity(settings, inputs, constants), frame, *places)

    def encode(self) -> bytes:
        """The bytes that `decode` reads."""
        packed = self._packed()
        return packed + _CRC.pack(zlib.crc32(packed))

    def _packed(self) -> bytes:
        one = self.identity
        places = (self.first_byte, self.file_bytes, self.blocks, self.block_bytes)
        return _HEADER.pack(_MAGIC, one.settings, one.inputs, one.constants, self.frame, *places)

    @property
    def seed(self) -> int:
        """What the checksums of the records begin with."""
        return zlib.crc32(self._packed())  # with its own checksum behind it, that of any header is the same


@dataclass(frozen=True)
class Record:
    """A block that is finished, the checksum of its bytes in the files, and what else is known of it."""

    block: int
    digest: bytes
    note: bytes = b""

    def encode(self, seed: int) -> bytes:
        """The bytes that `decode` reads."""
        packed = _RECORD.pack(self.block, self.digest) + self.note
        return packed + _CRC.pack(zlib.crc32(packed, seed))

    @classmethod
    def decode(cls, data: bytes, seed: int) -> Record | None:
        """One record; None if it is damaged, or of another journal."""
        packed = data[: -_CRC.size]
        if _CRC.unpack_from(data, len(packed))[0] != zlib.crc32(packed, seed):
            return None
        block, digest = _RECORD.unpack_from(packed)
        return cls(block, digest, packed[_RECORD.size :])


class Journal:
    """A journal in an open file, which it reads from the start and appends to. Everything raises OSError.

    Every record has a note of `note_bytes`.
    """

    def __init__(self, file: BinaryIO, note_bytes: int = 0) -> None:
        self._file, self.note_bytes = file, note_bytes
        self._record_bytes = RECORD_BYTES + note_bytes
        self._seed = 0
        self._end = 0

    @property
    def is_empty(self) -> bool:
        """Whether no run has come as far as to begin it."""
        return self._file.seek(0, os.SEEK_END) == 0

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._file.fileno(), 0)

    def start(self, header: Header) -> None:
        """Begin, in an empty file, for a product whose layout is on the disk."""
        self._seed, self._end = header.seed, 0
        self._put(header.encode())

    def header(self) -> Header:
        """Raises DamagedJournal, too."""
        self._file.seek(0)
        header = Header.decode(self._file.read(HEADER_BYTES))
        self._seed = header.seed
        return header

    def records(self, blocks: int) -> Iterator[Record]:
        """Sound records for a product of so many blocks; the journal goes on after the last whole one.

        To be called after `header`.
        """
        self._file.seek(HEADER_BYTES)
        self._end = HEADER_BYTES
        for _ in range(_MOST_RECORDS * blocks):
            data = self._file.read(self._record_bytes)
            if len(data) < self._record_bytes:
                break
            self._end += self._record_bytes
            record = Record.decode(data, self._seed)
            if record is not None and record.block < blocks:
                yield record

    def append(self, records: Iterable[Record]) -> None:
        """Record blocks that the disk holds, in one write; the disk holds them when this returns."""
        self._put(b"".join(record.encode(self._seed) for record in records))

    def _put(self, data: bytes) -> None:
        descriptor = self._file.fileno()
        if os.pwrite(descriptor, data, self._end) != len(data):
            raise OSError("the journal could not be written, the disk is full")
        os.fdatasync(descriptor)
        self._end += len(data)
