from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bnnpan.checkpoint import save_model
from bnnpan.config import DataConfig, Experiment
from bnnpan_export.cli import command
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BnnpanError, ConfigError, OutputError

from .conftest import SMALL


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    experiment = Experiment(model=SMALL, data=DataConfig(sensor="WorldView-2", bit_depth=12))
    save_model(folder / "model.safetensors", random_network(SMALL), experiment, {"steps": 12})
    return folder


def test_a_run_folder_becomes_one_bundle_file(run: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# A network\n")
    out = tmp_path / "my.bnnpan"
    arguments = [str(run), "--out", str(out), "--formats", "onnx,bits", "--model-card", str(card)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "freezing" in result.stderr
    assert "RMS DN" in result.stdout
    bundle = Bundle.open(out)
    manifest = bundle.manifest
    assert (manifest.id, manifest.sensor, manifest.bit_depth, manifest.dn_scale) == (
        "my",
        "WorldView-2",
        12,
        4095.0,
    )
    assert manifest.provenance["steps"] == 12
    assert all(tile.startswith("synthetic") for tile in manifest.provenance["parity_tiles"])
    assert bundle.read("MODEL_CARD.md") == b"# A network\n"
    assert "fuse.onnx" in manifest.files
    assert "fuse.tflite" not in manifest.files


def test_json_output_is_the_manifest_and_nothing_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "other.bnnpan"
    arguments = [
        str(run),
        "--out",
        str(out),
        "--formats",
        "bits",
        "--id",
        "mine",
        "--sensor",
        "any",
        "--json",
    ]
    result = CliRunner().invoke(command, arguments)
    value = json.loads(result.stdout)
    assert value["size_bytes"] == out.stat().st_size
    assert (value["manifest"]["id"], value["manifest"]["sensor"]) == ("mine", "any")
    assert value["manifest"]["memory"] == {}


def test_an_unknown_format_is_wrong_usage(run: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(run), "--out", str(tmp_path / "x.bnnpan"), "--formats", "onxx"])
    assert result.exit_code == 2
    assert "onxx" in result.stderr


@pytest.mark.parametrize("extra", [[], ["--model-card", "/nonexistent/card.md"]])
def test_missing_inputs_are_named(run: Path, tmp_path: Path, extra: list[str]) -> None:
    source = run if extra else tmp_path / "norun"
    out = tmp_path / "x.bnnpan"
    result = CliRunner().invoke(command, [str(source), "--out", str(out), *extra])
    assert isinstance(result.exception, ConfigError | BnnpanError)
    assert "norun" in str(result.exception) or "card.md" in str(result.exception)
    assert not out.exists()


def test_an_existing_bundle_is_kept_and_a_missing_folder_named_before_any_work(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "old.bnnpan"
    out.write_bytes(b"old")
    for path, message in ((out, "--overwrite"), (tmp_path / "nowhere" / "x.bnnpan", "folder does not exist")):
        result = CliRunner().invoke(command, [str(run), "--out", str(path)])
        assert isinstance(result.exception, OutputError)
        assert message in str(result.exception)
        assert "freezing" not in result.stderr
    assert out.read_bytes() == b"old"


def test_explain_says_what_every_pass_did_and_how_large_the_files_are(run: Path, tmp_path: Path) -> None:
    arguments = [str(run), "--formats", "bits", "--explain", "--out"]
    text = CliRunner().invoke(command, [*arguments, str(tmp_path / "text.bnnpan")]).stdout
    assert "pack bits" in text and "binary MACs per PAN pixel" in text and "golden/tile.safetensors" in text
    out = str(tmp_path / "json.bnnpan")
    passes = json.loads(CliRunner().invoke(command, [*arguments, out, "--json"]).stdout)["passes"]
    assert [step["name"] for step in passes][:2] == ["capture", "freeze scene statistics"]
    assert passes[-1]["bytes_after"] < passes[-1]["bytes_before"]
