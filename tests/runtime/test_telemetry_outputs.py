"""Where telemetry goes: a bar, a heartbeat, a log; none of them can stop a run."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from bnnpan_runtime.cli import main
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.telemetry import Happening, Record, Recorder, Sample
from bnnpan_runtime.telemetry.board import board_values
from bnnpan_runtime.telemetry.heartbeat import Heartbeat
from bnnpan_runtime.telemetry.log_file import LogFile
from bnnpan_runtime.telemetry.narrate import telling_the_end
from bnnpan_runtime.telemetry.outputs import Outputs
from bnnpan_runtime.telemetry.reference import updated
from bnnpan_runtime.telemetry.steps import Steps
from bnnpan_runtime.telemetry.table import EVENTS, FAILED, PLAN_TERM, SIGNALLED, TILE_DONE


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
        heartbeat(Sample(0, {}))
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
