"""`bnnpan evaluate` without a network: what is scored, how it is summed up and shown, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_training import write_imagery, write_items

from bnnpan.data.lms import interp23tap
from bnnpan.data.wald import degrade_ms
from bnnpan.evaluate.paper import paper_tables
from bnnpan.evaluate.scores import summary
from bnnpan.evaluate.table import Column, columns, ranks, text_table
from bnnpan_runtime.cli import main

TOLERANCE = 1e-6


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def scores(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    path = tmp_path / "scores.json"
    result = evaluate(*arguments, "--json", path)
    assert result.exit_code == 0, result.output
    return dict(json.loads(path.read_text()))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two validation pairs of different sensors."""
    items = [write_imagery(tmp_path, name) | {"split": "val"} for name in ("one", "two")]
    items[0]["sensor"] = "IKONOS"
    return write_items(tmp_path, items)


def write_collection(path: Path, images: int = 2, truth: bool = True, bands: int = 4) -> Path:
    """A PanCollection file of noise."""
    random = np.random.default_rng(0)
    fine = random.integers(50, 900, (images, bands, 128, 128)).astype(float)
    ms = np.stack([degrade_ms(image, [0.3] * bands, 4) for image in fine])
    arrays = {"ms": ms, "lms": np.stack([interp23tap(image) for image in ms])}
    arrays |= {"pan": fine.mean(axis=1, keepdims=True)} | ({"gt": fine} if truth else {})
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def close(found: dict[str, Any], expected: dict[str, Any], names: dict[str, str]) -> None:
    for method, values in found.items():
        for metric, name in names.items():
            assert values[metric] == pytest.approx(expected[method][name], rel=TOLERANCE), (method, metric)


REDUCED = {name: name for name in ("SAM", "ERGAS", "Q2n", "SCC", "PSNR", "Q_avg")}
FULL = {"D_lambda": "D_lambda_K", "D_s": "D_s", "HQNR": "HQNR"}


class TestToolbox:
    """Numbers of the command against DLPan-Toolbox's own, on public pairs without nodata."""

    def test_four_bands_at_both_resolutions(self, shared_data: Path, tmp_path: Path) -> None:
        data = ("--data", shared_data, "--split", "test", "--pairs", "vhr_0p5m_1")
        found = scores(tmp_path, *data, "--resolution", "both", "--baselines", "BT-H,GSA,MTF-GLP-FS")
        golden = json.loads((shared_data / "reference_metrics.json").read_text())["vhr_0p5m_1"]
        assert list(found["pairs"]["vhr_0p5m_1"]) == ["EXP", "BT-H", "GSA", "MTF-GLP-FS"]
        close(found["pairs"]["vhr_0p5m_1"], golden["reduced"], REDUCED)
        close(found["pairs"]["vhr_0p5m_1"], golden["full"], FULL)

    def test_eight_bands_that_come_degraded(self, shared_data: Path, tmp_path: Path) -> None:
        data = ("--data", shared_data, "--split", "test", "--pairs", "worldview3_rr")
        # The toolbox degraded this pair, whatever geometry is asked for.
        found = scores(tmp_path, *data, "--baselines", "BDSD,SFIM", "--phase", "centred")
        golden = json.loads((shared_data / "reference_metrics.json").read_text())["worldview3_rr"]
        close(found["pairs"]["worldview3_rr"], golden["reduced"], REDUCED)
        assert found["scenes"]["worldview3_rr"]["reduced"]["lms_phase"] == "toolbox"


class TestSummary:
    def test_deviation_is_the_sample_s(self) -> None:
        of_pairs = {"one": {"A": {"SAM": 1.0}}, "two": {"A": {"SAM": 3.0}}}
        assert summary(of_pairs) == {
            "mean": {"A": {"SAM": 2.0}},
            "std": {"A": {"SAM": pytest.approx(2**0.5)}},
        }
        assert summary({"one": {"A": {"SAM": 1.0}}})["std"] == {"A": {"SAM": 0.0}}

    def test_a_method_that_missed_a_pair_has_no_mean(self) -> None:
        of_pairs = {"one": {"A": {"SAM": 1.0}, "B": {"SAM": 2.0}}, "two": {"B": {"SAM": 4.0}}}
        assert summary(of_pairs)["mean"] == {"B": {"SAM": 3.0}}

    def test_a_pair_without_a_metric_does_not_count_for_it(self) -> None:
        of_pairs = {"one": {"A": {"SAM": 1.0, "HQNR": 0.5}}, "two": {"A": {"SAM": 2.0}}}
        assert summary(of_pairs)["mean"] == {"A": {"SAM": 1.5, "HQNR": 0.5}}

    def test_groups_are_by_sensor(self, manifest: Path, tmp_path: Path) -> None:
        found = scores(tmp_path, "--data", manifest, "--baselines", "GS")
        assert {name: of["pairs"] for name, of in found["sensors"].items()} == {
            "IKONOS": ["one"],
            "synthetic": ["two"],
        }
        assert found["sensors"]["IKONOS"]["mean"] == found["pairs"]["one"]
        one, two = (found["pairs"][name]["GS"]["SAM"] for name in ("one", "two"))
        assert found["mean"]["GS"]["SAM"] == pytest.approx((one + two) / 2)


class TestTable:
    def test_best_and_second_best_are_by_direction_and_without_interpolation(self) -> None:
        values = {
            "EXP": {"SAM": 0.1},
            "A": {"SAM": 3.0},
            "B": {"SAM": 1.0},
            "C": {"SAM": 1.0},
            "D": {"SAM": 2.0},
        }
        assert ranks(values, Column("SAM", "SAM", lower_is_better=True)) == {"B": 1, "C": 1, "D": 2}
        assert ranks(values, Column("SAM", "SAM", lower_is_better=False)) == {"A": 1, "D": 2}

    def test_what_is_not_finite_has_no_rank_and_is_a_dash(self) -> None:
        values = {"A": {"SAM": float("nan")}, "B": {"SAM": 1.0}, "C": {}}
        column = Column("SAM", "SAM", lower_is_better=True)
        assert ranks(values, column) == {"B": 1}
        lines = text_table("title", values, [column]).splitlines()
        assert [line.split()[-1] for line in lines] == ["title", "SAM↓", "-", "1.0000", "-"]

    def test_q_is_named_for_its_components(self) -> None:
        table = [{"A": {"Q2n": 1.0, "SAM": 1.0}}]
        assert [column.heading for column in columns(table, [4])] == ["SAM↓", "Q4↑"]
        assert columns(table, [6])[1].label == "Q8"
        assert columns(table, [4, 8])[1].label == "Q2n"


class TestPanCollection:
    def test_reduced_and_full_files_stand_in_one_table(self, tmp_path: Path) -> None:
        reduced = write_collection(tmp_path / "test_gf2_multiExm1.h5")
        full = write_collection(tmp_path / "test_gf2_OrigScale_multiExm1.h5", truth=False)
        found = scores(
            tmp_path, "--data", reduced, "--data", full, "--resolution", "both", "--baselines", "GS"
        )
        assert found["protocol"] == "both"
        assert found["paper"][0]["std"]["BNNPan"]["SAM"] == 0.1656
        assert {"test_gf2_multiExm1_0", "test_gf2_OrigScale_multiExm1_1"} <= found["pairs"].keys()
        assert {"SAM", "HQNR"} <= found["mean"]["GS"].keys()
        assert found["scenes"]["test_gf2_multiExm1_0"]["reduced"]["bit_depth"] == 10

    def test_plain_interpolation_is_the_file_s_own(self, tmp_path: Path) -> None:
        path = write_collection(tmp_path / "test_qb_multiExm1.h5")
        with h5py.File(path, "r+") as file:
            file["lms"][...] = file["gt"][...]
        found = scores(tmp_path, "--data", path, "--baselines", "EXP")
        assert found["mean"]["EXP"]["SAM"] == pytest.approx(0, abs=1e-5)
        assert found["mean"]["EXP"]["PSNR"] is None  # infinite

    def test_the_paper_s_rows_stand_beside_its_sensors(self, tmp_path: Path, manifest: Path) -> None:
        path = write_collection(tmp_path / "test_gf2_multiExm1.h5")
        text = evaluate("--data", path, "--baselines", "GS").output
        assert re.search(r"BNNPan \(1 bit\) +0\.8334 +0\.7564 +0\.9767", text) and "Table 2, GaoFen-2" in text
        assert "Table" not in evaluate("--data", manifest, "--baselines", "GS").output

    def test_rows_of_the_paper_agree_with_themselves(self) -> None:
        tables = paper_tables([Path(f"test_{tag}_multiExm1.h5") for tag in ("wv3", "gf2", "qb")])
        assert [len(table.mean) for table in tables] == [15, 8, 8]
        for table in tables:
            for row in table.mean.values():
                product = (1 - row["D_lambda"]) * (1 - row["D_s"])
                assert row["HQNR"] == pytest.approx(product, abs=1e-3)  # the paper averages products
        assert tables[0].mean["BNNPan"]["SAM"] == 3.1957
        assert tables[0].std["BNNPan"]["HQNR"] == 0.0289

    def test_images_can_be_picked(self, tmp_path: Path) -> None:
        path = write_collection(tmp_path / "test_qb.h5", images=3)
        found = scores(tmp_path, "--data", path, "--baselines", "EXP", "--pairs", "test_qb_2")
        assert list(found["pairs"]) == ["test_qb_2"]


class TestRefusals:
    """One line that says what to do, and the exit code of a wrong configuration."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--baselines", "GSX"], "unknown baseline 'GSX': choose from EXP, BT"),
            (
                ["--baselines", "GS", "--pairs", "three"],
                "three is not among the pairs .* choose from one, two",
            ),
            (
                ["--baselines", "GS", "--split", "test"],
                "there are no pairs at reduced resolution of split test",
            ),
        ],
    )
    def test_wrong_names(self, manifest: Path, arguments: list[str], message: str) -> None:
        result = evaluate("--data", manifest, *arguments)
        assert result.exit_code == 9
        assert re.search(message, result.output) and result.output.count("\n") == 1

    def test_the_same_pair_twice(self, manifest: Path) -> None:
        result = evaluate("--data", manifest, "--data", manifest, "--baselines", "GS")
        assert result.exit_code == 9 and "is in --data more than once" in result.output

    def test_nothing_to_evaluate(self, manifest: Path) -> None:
        result = evaluate("--data", manifest)
        assert result.exit_code == 2 and "name a RUN, or --baselines" in result.output

    def test_a_file_of_the_other_resolution(self, tmp_path: Path) -> None:
        path = write_collection(tmp_path / "test_qb_OrigScale.h5", truth=False)
        result = evaluate("--data", path, "--baselines", "GS")
        assert result.exit_code == 9 and "no pairs at reduced resolution" in result.output

    def test_outputs_are_checked_before_the_work(self, manifest: Path, tmp_path: Path) -> None:
        result = evaluate("--data", manifest, "--baselines", "GS", "--html", tmp_path / "absent" / "a.html")
        assert result.exit_code == 6 and "no folder" in result.output

    def test_a_method_that_cannot_fuse_is_left_out(self, tmp_path: Path) -> None:
        path = write_collection(tmp_path / "test_qb.h5")
        with h5py.File(path, "r+") as file:
            file["pan"][0] = 7
        found = scores(tmp_path, "--data", path, "--baselines", "GS")
        assert list(found["pairs"]["test_qb_0"]) == ["EXP"]
        assert list(found["mean"]) == ["EXP"]
