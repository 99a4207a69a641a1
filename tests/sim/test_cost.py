from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import load_board
from bnnpan_sim.cli import command
from bnnpan_sim.cost import STAGES, WINDOW_PIXELS, estimate, load_costs, read_measured

MEASURED = """
[[measured]]
board = "pi-zero-2w"
threads = 4
seconds_per_megapixel = 3.5
joules_per_megapixel = 7
source = "our bench, 2026-11-21"
"""


def test_an_estimate_follows_from_cycles_and_clock() -> None:
    board, costs = load_board("pi-zero-2w"), load_costs()
    cycles = sum(costs["costs"][f"{stage}/32"]["cycles"]["Cortex-A53"] for stage in STAGES)
    one = estimate(board, costs, threads=1)
    assert one.best_seconds == pytest.approx(cycles / WINDOW_PIXELS * 1e6 / 1e9)
    assert one.likely_seconds > one.best_seconds
    assert one.likely_joules == pytest.approx(one.likely_seconds * 1.8)
    assert estimate(board, costs, threads=8).best_seconds == pytest.approx(one.best_seconds / 4)


def test_the_window_is_that_of_the_recorded_costs() -> None:
    from arm.emulator import HEIGHT, WIDTH

    assert WINDOW_PIXELS == HEIGHT * WIDTH


def test_a_board_without_clock_has_no_estimate(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("title='t'\ncpu='c'\ncores=1\nfeatures=[]\nram_mib=300\nos_share_mib=100\nstorage='s'")
    with pytest.raises(ConfigError, match="needs 'clock_mhz' and 'cost_model'"):
        estimate(load_board(str(path)), load_costs(), 1)


def test_measured_values_are_read_from_toml_and_from_the_bench(tmp_path: Path) -> None:
    table, bench = tmp_path / "own.toml", tmp_path / "pi-5-4g.json"
    table.write_text(MEASURED)
    row = {"stage": "tile", "backend": "native (neon)", "threads": 2, "pan_pixels_per_second": 5e5}
    bench.write_text(json.dumps({"rows": [row, {**row, "stage": "trunk"}, {**row, "backend": "onnx"}]}))
    (one,) = read_measured(table)
    assert (one.board, one.threads, one.seconds, one.joules) == ("pi-zero-2w", 4, 3.5, 7)
    (two,) = read_measured(bench)
    assert (two.board, two.threads, two.seconds) == ("pi-5-4g", 2, 2.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", MEASURED.replace("threads = 4", ""), "'threads' is missing"),
        ("a.json", "{}", "not the JSON of `bnnpan bench --json`"),
        ("a.json", '{"rows": []}', "no row for whole tiles"),
    ],
)
def test_wrong_measurements_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_measured(path)


def test_the_command_keeps_estimates_and_measurements_apart(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(MEASURED)
    text = CliRunner().invoke(command, ["cost", "--measured", str(path)]).output
    head, _, rest = text.partition("\nMEASURED")
    assert head.startswith("ESTIMATED, per megapixel of PAN: not measured")
    assert "our bench" in rest and "our bench" not in head
    assert "an estimate, not a measurement" in rest
    value = json.loads(CliRunner().invoke(command, ["cost", "--board", "pi-5-4g", "--json"]).output)
    assert value["measured"] == [] and value["estimates"][0]["board"] == "pi-5-4g"
    assert not any("measured" in key for key in value["estimates"][0])
