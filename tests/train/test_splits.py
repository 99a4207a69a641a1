"""Training and model selection never touch the test split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rasterio
from click.testing import CliRunner
from tiny_training import write_imagery, write_items

from bnnpan.cli.train import command

CONFIG = """
[model]
channels = 4
blocks = 1
latent = 4

[data]
patch = 16

[training]
validate_every = 1
stage_one = { steps = 2, batch = 2 }
stage_two = { steps = 1, batch = 2 }
stage_three = { steps = 2, batch = 2 }
"""


@pytest.fixture
def items(tmp_path: Path) -> list[dict[str, Any]]:
    """One item of each split; the files of the test split are not there at all."""
    items = [
        write_imagery(tmp_path, f"noise_{split}") | {"split": split} for split in ("train", "val", "test")
    ]
    for name in items[2]["files"].values():
        (tmp_path / name).unlink()
    return items


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Names of all rasters opened for reading."""
    names: set[str] = set()
    really_open = rasterio.open

    def watched(path: Any, mode: str = "r", **options: Any) -> Any:
        if mode == "r":
            names.add(Path(path).name)
        return really_open(path, mode, **options)

    monkeypatch.setattr(rasterio, "open", watched)
    yield names


def run_training(folder: Path, items: list[dict[str, Any]]) -> Any:
    config = folder / "experiment.toml"
    config.write_text(CONFIG)
    arguments = ["--config", config, "--data", write_items(folder, items), "--out", folder / "run"]
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=True)


def test_a_whole_training_opens_no_file_of_the_test_split(
    tmp_path: Path, items: list[dict[str, Any]], opened: set[str]
):
    result = run_training(tmp_path, items)
    assert result.exit_code == 0, result.output
    assert opened == {f"noise_{split}_{kind}.tif" for split in ("train", "val") for kind in ("pan", "ms")}
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert "validation" in lines[0]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_file_of_another_split_would_have_been_noticed(
    tmp_path: Path, items: list[dict[str, Any]], split: str
):
    result = run_training(tmp_path, [*items[:2], items[2] | {"split": split}])
    assert "noise_test_ms.tif cannot be read" in str(result.exception)


def test_no_real_scene_is_in_two_splits(shared_data: Path):
    """A file, or its place in a Landsat scene, belongs to one split."""
    splits: dict[str, set[str]] = {}
    for item in json.loads((shared_data / "manifest.json").read_text())["items"]:
        for file in item["files"].values():
            splits.setdefault(file, set()).add(item["split"])
    assert all(len(split) == 1 for split in splits.values())
