"""`bnnpan bench` end to end, and what its figures promise. Nothing here judges how fast this computer is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from raw_scenes import write_raw_scene

from bnnpan_runtime.bench import floor
from bnnpan_runtime.bench.contest import Effort, Entry, Run, compete
from bnnpan_runtime.bench.engines import BackendCompetitor
from bnnpan_runtime.bench.native import NativeCompetitor, peaks
from bnnpan_runtime.bench.network import Images, Network, binary_macs, float_macs, images, random_network
from bnnpan_runtime.bench.report import table
from bnnpan_runtime.bench.rows import STAGES, Case, Machine, Report, Row
from bnnpan_runtime.bench.suite import choose_options, run_benchmark
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli.bench import command
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import instruction_sets
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.onnx import OnnxBackend

LARGEST_SHARE = 1.05
"""Peaks and rows are measured at different moments of a computer whose clock moves."""

FASTEST_MACS_PER_SECOND = 1e13
"""Of one core, for a while to come."""


@pytest.fixture(scope="module")
def quick() -> dict[str, Any]:
    result = CliRunner().invoke(command, ["--quick", "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.fixture(scope="module")
def network(bundle: Bundle) -> Network:
    return Network.of(bundle)


def test_machine_is_described_with_plausible_peaks(quick: dict[str, Any]) -> None:
    machine = quick["machine"]
    assert machine["cpu"] and machine["cores"] >= 1
    assert machine["isa"] == instruction_sets()[0]
    assert set(machine["isa_peaks"]) == set(instruction_sets())
    xnor, fma = machine["xnor_peak_macs_per_second"], machine["fma_peak_macs_per_second"]
    assert 0 < fma < xnor < FASTEST_MACS_PER_SECOND


def test_every_stage_of_the_native_engine_is_timed(quick: dict[str, Any]) -> None:
    timed = {row["stage"] for row in quick["rows"] if row["backend"] == "native" and row["median_seconds"]}
    assert timed == set(STAGES)


def test_rows_hold_their_types_and_ranges(quick: dict[str, Any]) -> None:
    for row in quick["rows"]:
        assert row["stage"] in STAGES and row["channels"] > 0 and row["tile"] > 0 and row["threads"] > 0
        if row["median_seconds"] is None:
            assert row["reason"]
            continue
        assert row["median_seconds"] > 0 and row["relative_spread"] >= 0 and row["reason"] is None
        if binary_or_float(row):
            assert 0 < row["share_of_peak"] <= LARGEST_SHARE, row
        else:
            assert row["share_of_peak"] is None


def binary_or_float(row: dict[str, Any]) -> bool:
    return row["stage"] not in ("pack", "lms", "quantise")


def test_stock_onnx_runtime_is_once_as_fast_as_itself(quick: dict[str, Any]) -> None:
    graph = [row for row in quick["rows"] if row["stage"] == "graph"]
    (stock,) = [row for row in graph if row["backend"] == "onnx"]
    assert stock["times_faster_than_ort_float32"] == 1.0
    (native,) = [row for row in graph if row["backend"] == "native"]
    ratio = stock["median_seconds"] / native["median_seconds"]
    assert native["times_faster_than_ort_float32"] == pytest.approx(ratio)


def test_competitors_that_cannot_run_say_why(quick: dict[str, Any]) -> None:
    names = {row["backend"] for row in quick["rows"]}
    assert names >= {
        "native",
        "onnx",
        "onnx-kernels",
        "larq",
        "litert-kernels",
        "onnx-int8",
        "pytorch",
        "litert-float",
    }


def test_a_scene_is_fused_beside_the_copy_and_the_start_up(quick: dict[str, Any]) -> None:
    scenes = quick["scenes"]
    assert [scene["what"] for scene in scenes if scene["threads"] == 1] == ["fuse", "floor", "plan"]
    for scene in scenes:
        assert scene["seconds"] > 0 and scene["cpu_seconds"] > 0
        if scene["what"] != "plan":
            assert scene["peak_bytes"] > 2**20 and scene["pan_pixels_per_cpu_second"] > 0


def test_the_table_shows_every_row_once(quick: dict[str, Any]) -> None:
    report = Report(Machine(**quick["machine"]), [Row(**row) for row in quick["rows"]])
    lines = table(report).splitlines()
    for row in report.rows:
        if row.median_seconds is not None:
            shown = [line for line in lines if line.split()[:3] == [row.stage, row.backend, str(row.threads)]]
            assert len(shown) == 1, row


def test_other_widths_get_random_weights_and_no_graph(network: Network) -> None:
    wide = random_network(network, 40)
    backend = NativeBackend(wide.weights, wide.shape)
    window = images(wide, 32)
    out = np.full_like(window.lms, np.nan)
    arena = np.empty(backend.memory(32, 32).arena_bytes, np.uint8)
    backend.fuse(window.pan, window.lms, window.affines, out, arena)
    assert np.isfinite(out).all()
    with pytest.raises(BackendError, match="no graph of 40 channels"):
        _ = wide.graphs


def test_only_the_backends_asked_for_are_timed(bundle: Bundle) -> None:
    options = choose_options(bundle, True, (8,), (32,), (2,), ("native",), 0)
    report = run_benchmark(bundle, replace(options, effort=Effort(rounds=1, sample_seconds=0.0)))
    assert {(row.backend, row.channels, row.tile, row.threads) for row in report.rows} == {
        ("native", 8, 32, 2)
    }
    assert {row.stage for row in report.rows} == {"graph", "tile"}
    with pytest.raises(BackendError, match="no competitor 'nobody'"):
        run_benchmark(bundle, choose_options(bundle, True, backends=("nobody",)))


@pytest.mark.parametrize("option", [("--tiles", "17,x"), ("--threads", "0"), ("--channels", "")])
def test_wrong_numbers_are_refused(option: Sequence[str]) -> None:
    result = CliRunner().invoke(command, list(option))
    assert result.exit_code == 2 and "is not a whole number" in result.stderr


def test_an_unknown_instruction_set_has_no_peaks() -> None:
    with pytest.raises(BackendError, match="'abacus' is not available"):
        peaks("abacus")


@pytest.mark.parametrize("stage", ["pack", "trunk", "tile"])
def test_instruction_sets_of_the_library_can_be_timed_one_by_one(network: Network, stage: str) -> None:
    window = images(network, 32)
    for isa in instruction_sets():
        (run,) = NativeCompetitor(isa).prepare(network, window, Case(stage, 32, 32, 1))
        assert run(2) > 0


class Recorder:
    """A competitor that says when its turn is, and takes as long as it was told."""

    stages = ("graph",)

    def __init__(self, name: str, seconds: float, turns: list[str], refusal: str | None = None) -> None:
        self.name, self._seconds, self._turns, self._refusal = name, seconds, turns, refusal

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Run]:
        if self._refusal:
            raise BackendError(self._refusal)

        def run(count: int) -> float:
            self._turns.append(self.name)
            return self._seconds * count

        return [run]


def test_competitors_take_turns_and_long_samples_are_made_of_many_runs(network: Network) -> None:
    turns: list[str] = []
    case = Case("graph", 32, 32, 1)
    fast, slow = (Recorder(name, seconds, turns) for name, seconds in (("fast", 0.001), ("slow", 1.0)))
    absent = Recorder("absent", 0.0, turns, "it is not here")
    entries = [Entry(competitor, case) for competitor in (fast, slow, absent)]
    effort = Effort(rounds=3, sample_seconds=0.1, enough_seconds=2.0)
    rows = compete(entries, network, images(network, 32), effort)
    assert turns == ["fast", "fast", "slow", "slow", *("fast", "slow") * 2, "fast"]
    assert [row.median_seconds for row in rows] == [pytest.approx(0.001), 1.0, None]
    assert entries[0].count == 100 and rows[2].reason == "it is not here"


def test_who_runs_one_window_at_a_time_is_left_out_for_more_threads(network: Network) -> None:
    lone = BackendCompetitor("lone", OnnxBackend, one_call_at_a_time=True)
    entries = [Entry(lone, Case("graph", 32, 32, threads)) for threads in (1, 2)]
    effort = Effort(rounds=1, sample_seconds=0.0)
    one, two = (compete([entry], network, images(network, 32), effort)[0] for entry in entries)
    assert one.median_seconds is not None
    assert two.median_seconds is None and two.reason == "runs one window at a time: timed on one thread only"


@pytest.mark.parametrize(("stage", "binary"), [("unit", 1), ("trunk", 4), ("head", 0)])
def test_work_is_counted_from_the_network(network: Network, stage: str, binary: int) -> None:
    assert network.shape.blocks == 4 and network.shape.channels == 32
    assert binary_macs(network.shape, stage, 10) == binary * 100 * 32 * 32 * 9
    assert (float_macs(network.shape, stage, 10) > 0) == (stage == "head")


def test_the_floor_writes_pan_into_every_band(tmp_path: Path) -> None:
    pan = write_raw_scene(tmp_path).pan
    floor.main([str(pan), "3", str(tmp_path / "copy.tif")])
    with rasterio.open(pan) as source, rasterio.open(tmp_path / "copy.tif") as copy:
        assert copy.count == 3
        for band in (1, 2, 3):
            np.testing.assert_array_equal(copy.read(band), source.read(1))
