"""Telemetry on the wire: packets and JSON lines say what was recorded, and damage is noticed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requirements import require_package

from bnnpan_runtime.telemetry import Happening, Record, Recorder, Sample
from bnnpan_runtime.telemetry.json_lines import JsonLines, json_value
from bnnpan_runtime.telemetry.space_packets import PacketError, SpacePackets, read_packets
from bnnpan_runtime.telemetry.table import CHANNELS, EVENTS, PLAN_TERM, TILE_DONE, WARNED

NOON_NS = int(datetime(2026, 11, 21, 12, 30, 15, 250_000, UTC).timestamp() * 1000) * 10**6
"""Whole milliseconds, as packets keep them."""
BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}


def values_of(kind: str) -> st.SearchStrategy[object]:
    if kind == "text":
        return st.text('aé€🛰\n"\\\x00', max_size=60)
    if kind == "f64":
        return st.floats(allow_nan=False)
    return st.integers(0, 2 ** BITS[kind] - 1)


@st.composite
def records(draw: st.DrawFn) -> Record:
    time_ns = NOON_NS + 10**6 * draw(st.integers(0, 10**9))
    if draw(st.booleans()):
        event = draw(st.sampled_from(EVENTS))
        return Happening(time_ns, event, {a.name: draw(values_of(a.kind)) for a in event.arguments})
    channels = draw(st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True))
    return Sample(time_ns, {channel: draw(values_of(channel.kind)) for channel in channels})


def packed(*all_records: Record, apid: int = 0x2B5) -> list[bytes]:
    packets: list[bytes] = []
    sink = SpacePackets(packets.append, apid)
    for record in all_records:
        sink(record)
    return packets


def test_ids_and_names_are_unique_and_formats_name_arguments_only():
    entries = [*EVENTS, *CHANNELS]
    assert len({entry.id for entry in entries}) == len({entry.name for entry in entries}) == len(entries)
    for event in EVENTS:
        blank = {a.name: "" if a.kind == "text" else 0 for a in event.arguments}
        assert event.message(**blank)


@given(st.lists(records(), max_size=5))
def test_packets_read_back_as_what_was_written(written: list[Record]):
    assert list(read_packets(b"".join(packed(*written)))) == written


@given(records())
def test_json_lines_are_one_object_each_of_a_stable_form(record: Record):
    lines: list[bytes] = []
    JsonLines(lines.append)(record)
    assert len(lines) == 1 and lines[0].count(b"\n") == 1 and lines[0].endswith(b"\n")
    value = json.loads(lines[0])
    assert value["time"].endswith("Z") and datetime.fromisoformat(value["time"])
    if isinstance(record, Happening):
        assert set(value) == {"time", "id", "event", "severity", "message", "values"}
        assert list(value["values"]) == [argument.name for argument in record.event.arguments]
    else:
        assert set(value) == {"time", "channels"}


def test_spacepackets_reads_headers_time_and_checksum():
    require_package("spacepackets")
    from fastcrc.crc16 import ibm_3740
    from spacepackets.ccsds.spacepacket import (
        PacketId,
        PacketType,
        SequenceFlags,
        SpacePacketHeader,
        parse_space_packets,
    )
    from spacepackets.ccsds.time import CdsShortTimestamp

    event = Happening(NOON_NS, TILE_DONE, {"tile": 3, "row": 512, "col": 0, "height": 256, "width": 250})
    packets = packed(*[event] * 3, apid=0x123)
    identity = PacketId(PacketType.TM, True, 0x123)
    assert parse_space_packets(b"".join(packets), [identity]).tm_list == packets
    for count, packet in enumerate(packets):
        header = SpacePacketHeader.unpack(packet)
        assert (header.ccsds_version, header.packet_id, header.seq_count) == (0, identity, count)
        assert header.seq_flags == SequenceFlags.UNSEGMENTED
        assert header.packet_len == len(packet)
        time = CdsShortTimestamp.unpack(packet[6:13])
        assert time.as_datetime() == datetime.fromtimestamp(NOON_NS / 10**9, UTC)
        assert ibm_3740(packet[:-2]) == int.from_bytes(packet[-2:])
    fields = [int.from_bytes(packets[0][at : at + 4]) for at in range(15, 35, 4)]
    assert int.from_bytes(packets[0][13:15]) == TILE_DONE.id and fields == [3, 512, 0, 256, 250]


def test_sequence_counts_wrap_at_14_bits():
    sample = Sample(NOON_NS, {CHANNELS[0]: 1})
    packets = packed(*[sample] * (2**14 + 1))
    counts = [int.from_bytes(packets[index][2:4]) & 0x3FFF for index in (0, 1, 2**14 - 1, 2**14)]
    assert counts == [0, 1, 2**14 - 1, 0]


def test_every_flipped_bit_of_a_packet_is_noticed():
    [packet] = packed(Happening(NOON_NS, PLAN_TERM, {"term": "buffers", "bytes": 12345}))
    for bit in range(8 * len(packet)):
        damaged = bytearray(packet)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PacketError, match="byte 0: the packet is cut off"):
            list(read_packets(bytes(damaged)))


@given(st.binary(max_size=80))
def test_foreign_bytes_are_refused_with_their_place(content: bytes):
    try:
        list(read_packets(content))
    except PacketError as error:
        assert str(error).startswith("byte ")


def test_long_text_is_cut_between_letters():
    [packet] = packed(Happening(NOON_NS, WARNED, {"source": "é" * 5000, "message": "\udc80 undecodable"}))
    [record] = read_packets(packet)
    assert isinstance(record, Happening)
    assert record.values == {"source": "é" * 512, "message": "\\udc80 undecodable"}


def test_what_the_table_does_not_declare_is_a_defect_of_the_caller():
    recorder = Recorder()
    with pytest.raises(TypeError, match="plan_term takes term, bytes"):
        recorder.emit(PLAN_TERM, term="buffers")
    with pytest.raises(TypeError, match="must be u64"):
        recorder.emit(PLAN_TERM, term="buffers", bytes=1.5)
    with pytest.raises(ValueError, match="does not fit u64"):
        recorder.emit(PLAN_TERM, term="buffers", bytes=-1)
    with pytest.raises(TypeError, match="no channel altitude"):
        recorder.sample(altitude=500)


def test_numbers_that_json_does_not_know_become_null():
    [channel] = [channel for channel in CHANNELS if channel.name == "temperature"]
    assert json_value(Sample(NOON_NS, {channel: float("nan")}))["channels"] == {"temperature": None}


@given(st.data())
def test_reading_goes_on_behind_a_torn_packet(data: st.DataObject):
    written = data.draw(st.lists(records(), min_size=2, max_size=4))
    first, *others = packed(*written)
    torn = first[: data.draw(st.integers(1, len(first) - 1))]
    damaged: list[PacketError] = []
    assert list(read_packets(torn + b"".join(others), damaged.append)) == written[1:]
    assert str(damaged[0]).startswith("byte 0") and len(damaged) == 1
