"""The log as CCSDS space packets, and how a ground station reads them again.

One record is one unsegmented telemetry packet (CCSDS 133.0-B-2, section 4), all numbers big-endian:

    6 bytes   primary header: version 0, type 0 (telemetry), secondary header present, APID; sequence flags
              0b11 and a 14-bit count; data length - 1
    7 bytes   secondary header: time as CDS with its P-field 0x40 (CCSDS 301.0-B-4, 3.3): 16-bit day since
              1958-01-01, 32-bit millisecond of the day, UTC
    rest      id (2 bytes) and arguments of an event, or id and value of each channel in turn; text is its
              length in bytes (2 bytes) and UTF-8
    2 bytes   packet error control: CRC-16 (polynomial 0x1021, start 0xFFFF) of all before it, as in
              ECSS-E-ST-70-41C
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Callable, Iterator
from contextlib import suppress

from bnnpan_runtime.telemetry.emit import Happening, Record, Sample
from bnnpan_runtime.telemetry.table import CHANNELS, EVENTS, Kind, Value

__all__ = ["APID", "LARGEST_APID", "PacketError", "SpacePackets", "read_packets"]

APID = 0x2B5
"""Application process id if none is given."""

LARGEST_APID = 2046
"""All ones, 2047, mean idle packets (CCSDS 133.0-B-2)."""

_PRIMARY = struct.Struct(">HHH")
_TIME = struct.Struct(">BHI")
_ID = _TEXT_BYTES = struct.Struct(">H")
_CRC = struct.Struct(">H")
_TELEMETRY_WITH_SECONDARY_HEADER = 0x0800
_UNSEGMENTED = 0xC000
_COUNTS = 2**14
_CDS_PREAMBLE = 0x40
_DAYS_1958_TO_1970 = 4383
_MS_PER_DAY = 86_400_000

_NUMBERS: dict[Kind, struct.Struct] = {
    "u8": struct.Struct(">B"),
    "u16": struct.Struct(">H"),
    "u32": struct.Struct(">I"),
    "u64": struct.Struct(">Q"),
    "f64": struct.Struct(">d"),
}
_LONGEST_TEXT = 1024
"""Bytes; the rest of a text is cut off."""

_EVENTS = {event.id: event for event in EVENTS}
_CHANNELS = {channel.id: channel for channel in CHANNELS}


class PacketError(ValueError):
    """Bytes that are no packet of this dictionary; the message tells at which byte of the file."""


class SpacePackets:
    """A sink that writes each record as one packet through `append`; counts start at 0 with each run."""

    def __init__(self, append: Callable[[bytes], None], apid: int = APID) -> None:
        if not 0 <= apid <= LARGEST_APID:
            raise ValueError(f"APID {apid} is not 0 to {LARGEST_APID}")
        self._append, self._apid, self._count = append, apid, 0

    def __call__(self, record: Record) -> None:
        """Write a record."""
        data = _packed_time(record.time_ns) + _packed_values(record)
        header = _PRIMARY.pack(
            _TELEMETRY_WITH_SECONDARY_HEADER | self._apid,
            _UNSEGMENTED | self._count,
            len(data) + _CRC.size - 1,
        )
        self._count = (self._count + 1) % _COUNTS
        packet = header + data
        self._append(packet + _CRC.pack(crc_hqx(packet, 0xFFFF)))


def read_packets(content: bytes, damaged: Callable[[PacketError], None] | None = None) -> Iterator[Record]:
    """Records of a file of packets, of whatever APID.

    Where the file is damaged or not ours, `damaged` is told, and reading goes on at the next whole packet: a
    power cut tears the end of a log, to which the next run appends. Without it, raises PacketError.
    """
    position = 0
    while position < len(content):
        try:
            record, end = _read_packet(content, position)
        except PacketError as error:
            if damaged is None:
                raise
            damaged(error)
            position = _next_packet(content, position + 1)
        else:
            yield record
            position = end


def _read_packet(content: bytes, position: int) -> tuple[Record, int]:
    """The record that begins there, and where it ends. Raises PacketError."""
    if len(content) - position < _PRIMARY.size:
        raise PacketError(f"byte {position}: {len(content) - position} bytes are left, too few for a packet")
    end = position + _PRIMARY.size + _PRIMARY.unpack_from(content, position)[2] + 1
    packet = content[position:end]
    if end > len(content) or crc_hqx(packet, 0xFFFF) != 0:
        raise PacketError(f"byte {position}: the packet is cut off or its CRC is wrong")
    try:
        return _record(packet), end
    except (KeyError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise PacketError(f"byte {position}: not a packet of this dictionary ({error!r})") from error


def _next_packet(content: bytes, position: int) -> int:
    """Where the next whole packet begins; the end of the content if none follows."""
    for start in range(position, len(content) - _PRIMARY.size):
        if content[start] >> 3 == _TELEMETRY_WITH_SECONDARY_HEADER >> 11 and content[start + 2] >> 6 == 3:
            with suppress(PacketError):
                _read_packet(content, start)
                return start
    return len(content)


def _packed_time(time_ns: int) -> bytes:
    days, milliseconds = divmod(time_ns // 10**6, _MS_PER_DAY)
    return _TIME.pack(_CDS_PREAMBLE, days + _DAYS_1958_TO_1970, milliseconds)


def _packed_values(record: Record) -> bytes:
    if isinstance(record, Sample):
        return b"".join(
            _ID.pack(channel.id) + _packed(channel.kind, value) for channel, value in record.values.items()
        )
    event = record.event
    return _ID.pack(event.id) + b"".join(
        _packed(argument.kind, record.values[argument.name]) for argument in event.arguments
    )


def _packed(kind: Kind, value: Value) -> bytes:
    if kind == "text":
        encoded = str(value).encode(errors="backslashreplace")[:_LONGEST_TEXT]
        whole = encoded.decode(errors="ignore").encode()  # no letter cut in two
        return _TEXT_BYTES.pack(len(whole)) + whole
    return _NUMBERS[kind].pack(value)


def _record(packet: bytes) -> Record:
    preamble, days, milliseconds = _TIME.unpack_from(packet, _PRIMARY.size)
    if preamble != _CDS_PREAMBLE:
        raise ValueError(f"time code {preamble:#04x}")
    time_ns = ((days - _DAYS_1958_TO_1970) * _MS_PER_DAY + milliseconds) * 10**6
    fields = _Fields(packet[_PRIMARY.size + _TIME.size : -_CRC.size])
    first = fields.number("u16")
    if first in _EVENTS:
        event = _EVENTS[first]
        values = {argument.name: fields.take(argument.kind) for argument in event.arguments}
        fields.check_end()
        return Happening(time_ns, event, values)
    samples = {}
    while True:
        channel = _CHANNELS[first]
        samples[channel] = fields.take(channel.kind)
        if fields.at_end:
            return Sample(time_ns, samples)
        first = fields.number("u16")


class _Fields:
    """Values one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._content)

    def check_end(self) -> None:
        if not self.at_end:
            raise ValueError("more bytes than arguments")

    def number(self, kind: Kind) -> int:
        value = self.take(kind)
        assert isinstance(value, int)
        return value

    def take(self, kind: Kind) -> Value:
        if kind == "text":
            return self._bytes(self.number("u16")).decode()
        packed = _NUMBERS[kind]
        value: int | float = packed.unpack(self._bytes(packed.size))[0]
        return value

    def _bytes(self, count: int) -> bytes:
        taken = self._content[self._position : self._position + count]
        if len(taken) < count:
            raise ValueError("fewer bytes than arguments")
        self._position += count
        return taken
