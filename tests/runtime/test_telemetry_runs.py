"""A whole run tells the same in every form, however it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from raw_scenes import RawScene, write_raw_scene

from bnnpan_runtime.cli import main
from bnnpan_runtime.telemetry.json_lines import json_value
from bnnpan_runtime.telemetry.space_packets import read_packets


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
