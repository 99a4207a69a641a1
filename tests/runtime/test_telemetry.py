"""One table, and everything made from it: JSON lines, packets, progress, heartbeat, the reference page."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from raw_scenes import RawScene, write_raw_scene
from requirements import require_package

from bnnpan_runtime.cli import main
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.telemetry import Happening, Record, Recorder, Sample
from bnnpan_runtime.telemetry.board import board_values
from bnnpan_runtime.telemetry.heartbeat import Heartbeat
from bnnpan_runtime.telemetry.json_lines import JsonLines, json_value
from bnnpan_runtime.telemetry.log_file import LogFile
from bnnpan_runtime.telemetry.narrate import telling_the_end
from bnnpan_runtime.telemetry.outputs import Outputs
from bnnpan_runtime.telemetry.reference import updated
from bnnpan_runtime.telemetry.space_packets import PacketError, SpacePackets, read_packets
from bnnpan_runtime.telemetry.steps import Steps
from bnnpan_runtime.telemetry.table import CHANNELS, EVENTS, FAILED, PLAN_TERM, SIGNALLED, TILE_DONE, WARNED

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


def test_the_bar_counts_tiles_once_and_those_that_are_kept(tmp_path: Path):
    steps: list[tuple[int, int]] = []
    recorder = Recorder(Steps(lambda done, total: steps.append((done, total))))
    plan = dict.fromkeys(("tile", "halo", "threads", "gdal_cache_bytes"), 1)
    sizes = dict.fromkeys(("predicted_peak_bytes", "smallest_budget_bytes", "budget_bytes"), 1)
    recorder.emit(by_name("plan_made"), tiles=4, **plan, **sizes)
    recorder.emit(by_name("resumed"), tiles_kept=1)
    for tile in (1, 2, 2, 3):
        recorder.emit(TILE_DONE, tile=tile, row=0, col=0, height=1, width=1)
    assert steps == [(1, 4), (2, 4), (3, 4), (3, 4), (4, 4)]


def by_name(name: str):
    [event] = [event for event in EVENTS if event.name == name]
    return event


def test_the_heart_beats_with_the_work_only_and_at_most_once_a_second(tmp_path: Path):
    now, path = 0.0, tmp_path / "alive"
    recorder = Recorder(Heartbeat(path, clock=lambda: now))
    first = path.stat().st_ino
    now = 0.9
    recorder.sample(tiles_done=7)
    assert path.stat().st_ino == first  # too soon
    now = 1.0
    recorder.emit(PLAN_TERM, term="buffers", bytes=1)
    state = json.loads(path.read_text())
    assert (state["last"], state["tiles_done"], state["pid"]) == ("plan_term", 7, os.getpid())
    assert list(tmp_path.iterdir()) == [path]
    recorder.emit(PLAN_TERM, term="engines", bytes=1)
    assert json.loads(path.read_text()) == state
    recorder.emit(FAILED, exit_code=6, kind="OutputError", message="full")  # the end is never too soon
    assert json.loads(path.read_text())["last"] == "failed"
    with pytest.raises(OutputError, match="heartbeat cannot be written"):
        Heartbeat(tmp_path / "absent" / "alive")


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        now = 0.0
        heartbeat = Heartbeat(tmp_path / "alive", clock=lambda: now)
        now = 5.0
        heartbeat(Sample(NOON_NS, {}))
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_a_full_disk_ends_the_log_and_not_the_run(caplog: pytest.LogCaptureFixture):
    log = LogFile(Path("/dev/full"))
    log.append(b"one\n")
    log.append(b"two\n")
    log.close()
    assert [record.getMessage() for record in caplog.records] == [
        "/dev/full: telemetry ends here ([Errno 28] No space left on device)"
    ]


def test_half_a_record_is_taken_back_for_the_next_run_to_append(tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = LogFile(tmp_path / "log")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        for record in (b"whole 1\n", b"torn\n"):
            log.append(record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        log.close()
    assert (tmp_path / "log").read_bytes() == b"whole 1\n"


@given(st.data())
def test_reading_goes_on_behind_a_torn_packet(data: st.DataObject):
    written = data.draw(st.lists(records(), min_size=2, max_size=4))
    first, *others = packed(*written)
    torn = first[: data.draw(st.integers(1, len(first) - 1))]
    damaged: list[PacketError] = []
    assert list(read_packets(torn + b"".join(others), damaged.append)) == written[1:]
    assert str(damaged[0]).startswith("byte 0") and len(damaged) == 1


def test_logged_warnings_are_events_and_a_log_is_continued(tmp_path: Path):
    import logging

    outputs = Outputs(events=tmp_path / "run.jsonl", packets=tmp_path / "run.packets", apid=7)
    for _ in range(2):
        with outputs.opened():
            logging.getLogger("bnnpan_runtime.run").warning("too\nhot")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["bnnpan_runtime.run: too hot"] * 2
    result = CliRunner().invoke(main, ["telemetry", str(tmp_path / "run.packets")])
    assert [json.loads(line) for line in result.stdout.splitlines()] == [json.loads(line) for line in lines]
    (tmp_path / "run.packets").write_bytes(b"nothing of the kind")
    result = CliRunner().invoke(main, ["telemetry", str(tmp_path / "run.packets")])
    assert result.exit_code == 8 and "byte 0" in result.stderr


@pytest.mark.parametrize(
    ("error", "event", "values"),
    [
        (OutputError("no\nroom"), FAILED, {"exit_code": 6, "kind": "OutputError", "message": "no room"}),
        (ZeroDivisionError(), FAILED, {"exit_code": 1, "kind": "ZeroDivisionError"}),
        (SystemExit(143), SIGNALLED, {"number": 15, "name": "SIGTERM"}),
        (KeyboardInterrupt(), SIGNALLED, {"number": 2, "name": "SIGINT"}),
    ],
)
def test_the_end_is_told_whatever_it_is(error: BaseException, event: object, values: dict[str, object]):
    told: list[Record] = []
    with pytest.raises(type(error)), telling_the_end(Recorder(told.append)):
        raise error
    [record] = told
    assert isinstance(record, Happening)
    assert record.event is event and values.items() <= record.values.items()


def test_the_board_tells_temperature_and_clock_where_it_can(tmp_path: Path):
    assert board_values(tmp_path) == {}
    for name, text in (
        ("class/thermal/thermal_zone0/temp", "41500\n"),
        ("class/thermal/thermal_zone1/temp", "off"),
        ("class/thermal/thermal_zone2/temp", "44250\n"),
        ("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n"),
        ("devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "600000\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert board_values(tmp_path) == {"temperature": 44.25, "clock": 600_000_000}


def test_the_reference_page_is_up_to_date(repo_root: Path):
    page = (repo_root / "docs" / "telemetry.md").read_text()
    for part in ("events", "channels", "exit_codes"):
        assert f"<!-- {part}: made from the code -->" in page
    assert updated(page) == page, "run: python -m bnnpan_runtime.telemetry.reference docs/telemetry.md"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> RawScene:
    return write_raw_scene(tmp_path_factory.mktemp("scene"), 256, 192)


def fuse_command(scene: RawScene, out: Path, *options: object) -> list[str]:
    fixed = ("--pan", scene.pan, "--ms", scene.ms, "--out", out, "--memory", "4GiB", "--tile", 64)
    return ["fuse", *map(str, (*fixed, *options))]


def test_a_run_tells_the_same_in_every_form(scene: RawScene, tmp_path: Path):
    files = {name: tmp_path / name for name in ("events", "packets", "heartbeat")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = CliRunner().invoke(main, fuse_command(scene, tmp_path / "out.tif", "--json", *options))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    lines = [json.loads(line) for line in files["events"].read_text().splitlines()]
    assert [json_value(record) for record in read_packets(files["packets"].read_bytes())] == lines
    names = [line["event"] for line in lines if "event" in line]
    assert names[0] == "run_started" and names[-1] == "product_committed"
    assert names.count("tile_done") == 12
    stages = ["run_started", "scene_opened", "method_chosen", "plan_made", "calibrated", "tile_done"]
    assert [name for name in dict.fromkeys(names) if name in stages] == stages
    last = lines[-1]["values"]
    assert last["sha256"] == report["product_sha256"] and last["peak_bytes"] == report["measured_peak_bytes"]
    terms = {line["values"]["term"] for line in lines if line.get("event") == "plan_term"}
    assert {"process", "tiles_in_flight", "engines"} <= terms
    assert any(line["channels"]["peak_bytes"] > 2**20 for line in lines if "channels" in line)
    assert json.loads(files["heartbeat"].read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("register", "event", "outcome"),
    [("auto", "shift_not_measured", "unsure"), ("off", "shift_not_measured", "off")],
)
def test_a_run_tells_what_became_of_the_shift_and_of_saturated_pixels(
    scene: RawScene, tmp_path: Path, register: str, event: str, outcome: str
):
    (camera := tmp_path / "camera.toml").write_text("format = 1\n[pan]\nsaturation = 1500\n" + "[[ms]]\n" * 4)
    options = ("--events", tmp_path / "events", "--radiometry", camera, "--register", register, "--json")
    result = CliRunner().invoke(main, fuse_command(scene, tmp_path / "out.tif", *options))
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    told = {line["event"]: line["values"] for line in lines if "event" in line}
    assert told[event]["outcome"] == outcome == json.loads(result.stdout)["shift"]["outcome"]
    assert told["saturated"]["pixels"] == json.loads(result.stdout)["saturated_pixels"] > 0


@pytest.mark.parametrize("options", [("--events", "{pan}"), ("--heartbeat", "{out}"), ("--packets", "{log}")])
def test_telemetry_spoils_no_other_file_of_the_run(scene: RawScene, tmp_path: Path, options: tuple[str, str]):
    before, out, log = scene.pan.read_bytes(), tmp_path / "out.tif", tmp_path / "log"
    option, name = options[0], options[1].format(pan=scene.pan, out=out, log=log)
    others = () if name != str(log) else ("--events", log)
    result = CliRunner().invoke(main, fuse_command(scene, out, option, name, *others))
    assert result.exit_code == 6 and "a file of its own" in result.stderr
    assert scene.pan.read_bytes() == before and list(tmp_path.iterdir()) == []


def test_events_may_take_standard_output(
    scene: RawScene, tmp_path: Path, subprocess_environment: dict[str, str]
):
    command = [sys.executable, "-m", "bnnpan_runtime"]
    options = fuse_command(scene, tmp_path / "out.tif", "--events", "-")
    run = subprocess.run([*command, *options], capture_output=True, text=True, env=subprocess_environment)
    assert run.returncode == 0, run.stderr
    assert all(json.loads(line)["time"] for line in run.stdout.splitlines())
    assert "product_committed" in run.stdout.splitlines()[-1]
    result = CliRunner().invoke(main, [*options, "--json"])
    assert result.exit_code == 2 and "both want standard output" in result.stderr


def test_a_stopped_run_says_so_and_the_next_one_that_it_goes_on(
    tmp_path: Path, subprocess_environment: dict[str, str]
):
    events = tmp_path / "events"
    scene = write_raw_scene(tmp_path, 512, 256)  # the 16 tiles of its first block are finished by then
    command = [sys.executable, "-c", STOPPED_AT_TILE_20, *fuse_command(scene, tmp_path / "out.tif")]
    for expected in (143, 0):
        run = subprocess.run(
            [*command, "--events", str(events)], capture_output=True, text=True, env=subprocess_environment
        )
        assert run.returncode == expected, run.stderr
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    told = [line["event"] for line in lines if "event" in line]
    assert told.count("run_started") == 2 and told[-1] == "product_committed"
    [stopped] = [line["values"] for line in lines if line.get("event") == "signalled"]
    assert stopped == {"number": 15, "name": "SIGTERM"}
    [resumed] = [line["values"] for line in lines if line.get("event") == "resumed"]
    assert resumed == {"tiles_kept": 16} and told.index("resumed") > told.index("signalled")


STOPPED_AT_TILE_20 = """
import os, signal, sys
from bnnpan_runtime.cli import main
from bnnpan_runtime.telemetry.narrate import Narrator

whole = Narrator.written
def written(self, tile, *rest):
    whole(self, tile, *rest)
    once = sys.argv[-1] + ".stopped"
    if tile.index == 20 and not os.path.exists(once):
        open(once, "x").close()
        os.kill(os.getpid(), signal.SIGTERM)
Narrator.written = written
main()
"""


def test_telemetry_imports_neither_numpy_nor_rasterio(subprocess_environment: dict[str, str]):
    program = (
        "import sys, bnnpan_runtime.telemetry.outputs, bnnpan_runtime.telemetry.narrate\n"
        "print([name for name in ('numpy', 'rasterio') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=subprocess_environment
    )
    assert run.stdout.strip() == "[]", run.stderr
