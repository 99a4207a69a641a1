"""A file in packets that may arrive in any order, twice, damaged, or not at all.

    magic, first 16 bytes of the file's SHA-256, size of the file, size of a payload, number of the packet;
    then the payload; CRC-32 of all before it

All packets but the last have payloads of the same size, so a packet's place follows from its number, and any
packet says how many there are.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bnnpan_runtime.container import MAX_FILE_BYTES

__all__ = ["LARGEST_PACKET", "SMALLEST_PACKET", "Assembly", "Packet", "Progress", "read_packet", "split"]

SMALLEST_PACKET = 128
LARGEST_PACKET = 65535

_MOST_BYTES = 2 * MAX_FILE_BYTES
_MAGIC = b"bnp1"
_DIGEST_BYTES = 16
_HEADER = struct.Struct("<4s16sLHL")
_CRC32 = struct.Struct("<L")
_OVERHEAD = _HEADER.size + _CRC32.size


@dataclass(frozen=True)
class Packet:
    """One whole packet: which file it belongs to, and which part of it."""

    digest: bytes
    file_bytes: int
    payload_bytes: int
    index: int
    payload: bytes

    @property
    def file(self) -> tuple[bytes, int, int]:
        """The same for all packets that make one file."""
        return self.digest, self.file_bytes, self.payload_bytes


@dataclass(frozen=True)
class Progress:
    """What is there of a file, and what has to be sent again.

    sha256_prefix  which file, in hex
    resend         numbers of the packets that are missing
    duplicates, damaged, foreign   packets that came again, did not arrive whole, or belong to other files
    """

    sha256_prefix: str
    file_bytes: int
    packets: int
    resend: list[int]
    duplicates: int
    damaged: int
    foreign: int

    @property
    def complete(self) -> bool:
        """Whether the file can be put together."""
        return not self.resend

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {"complete": self.complete, **asdict(self)}


def split(content: bytes, packet_bytes: int) -> Iterator[bytes]:
    """Packets of at most `packet_bytes`, in order. Raises ValueError for sizes that cannot be."""
    if not SMALLEST_PACKET <= packet_bytes <= LARGEST_PACKET:
        raise ValueError(f"packets have {SMALLEST_PACKET} to {LARGEST_PACKET} bytes, not {packet_bytes}")
    if not 0 < len(content) <= MAX_FILE_BYTES:
        raise ValueError(f"a file to split has 1 to {MAX_FILE_BYTES} bytes, not {len(content)}")
    digest, payload = hashlib.sha256(content).digest()[:_DIGEST_BYTES], packet_bytes - _OVERHEAD
    for index, start in enumerate(range(0, len(content), payload)):
        packet = _HEADER.pack(_MAGIC, digest, len(content), payload, index) + content[start : start + payload]
        yield packet + _CRC32.pack(zlib.crc32(packet))


def read_packet(raw: bytes) -> Packet | None:
    """The packet in these bytes; None if it did not arrive whole."""
    if not _OVERHEAD < len(raw) <= LARGEST_PACKET:
        return None
    body, (crc32,) = raw[: -_CRC32.size], _CRC32.unpack(raw[-_CRC32.size :])
    if zlib.crc32(body) != crc32 or not body.startswith(_MAGIC):
        return None
    _, digest, size, payload_bytes, index = _HEADER.unpack_from(body)
    packet = Packet(digest, size, payload_bytes, index, body[_HEADER.size :])
    sound = 0 < size <= MAX_FILE_BYTES and SMALLEST_PACKET <= payload_bytes + _OVERHEAD <= LARGEST_PACKET
    if not sound or len(packet.payload) != min(payload_bytes, size - index * payload_bytes):
        return None
    return packet


class Assembly:
    """Collects packets as they come; of several files, the one that most packets have come of counts."""

    def __init__(self) -> None:
        self._files: dict[tuple[bytes, int, int], dict[int, bytes]] = {}
        self._duplicates: Counter[tuple[bytes, int, int]] = Counter()
        self._damaged = 0
        self._room_bytes = _MOST_BYTES

    def add(self, raw: bytes) -> None:
        """Take what may be a packet. Raises ValueError when more has come than any file needs."""
        packet = read_packet(raw)
        if packet is None:
            self._damaged += 1
            return
        parts = self._files.setdefault(packet.file, {})
        if packet.index in parts:
            self._duplicates[packet.file] += 1
            return
        self._room_bytes -= len(raw)
        if self._room_bytes < 0:
            raise ValueError(f"packets of more than {_MOST_BYTES} bytes in all")
        parts[packet.index] = packet.payload

    def progress(self) -> Progress | None:
        """How far the file is; None before its first packet."""
        if not self._files:
            return None
        file = self._wanted()
        digest, size, payload_bytes = file
        count = -(-size // payload_bytes)
        missing = [index for index in range(count) if index not in self._files[file]]
        if not missing and self.content() is None:
            missing = list(range(count))  # whole packets that do not belong together
        foreign = sum(map(len, self._files.values())) - len(self._files[file])
        return Progress(digest.hex(), size, count, missing, self._duplicates[file], self._damaged, foreign)

    def content(self) -> bytes | None:
        """The file, if all of it is there and is what was split."""
        if not self._files:
            return None
        digest, size, _ = file = self._wanted()
        content = b"".join(self._files[file][index] for index in sorted(self._files[file]))
        right = len(content) == size and hashlib.sha256(content).digest()[:_DIGEST_BYTES] == digest
        return content if right else None

    def _wanted(self) -> tuple[bytes, int, int]:
        return max(self._files, key=lambda file: (len(self._files[file]), file))
