"""Training and model selection never touch the test split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from numpy.typing import NDArray
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


WINDOW = 12


def windows(path: Path) -> NDArray[np.uint64]:
    """A number for each 12 x 12 window of the first band that is not flat, equal where the pixels are."""
    with rasterio.open(path) as dataset:
        band = dataset.read(1).astype(np.uint64)
    height, width = (size - WINDOW + 1 for size in band.shape)
    factors = np.random.default_rng(0).integers(1, 2**63, (WINDOW, WINDOW), np.uint64) * 2 + 1
    shifted = [(band[r : r + height, c : c + width], factors[r, c]) for r, c in np.ndindex(WINDOW, WINDOW)]
    total = sum(part * factor for part, factor in shifted)  # modulo 2**64
    flat = np.all([part == shifted[0][0] for part, _ in shifted], axis=0)
    return np.unique(np.asarray(total)[~flat])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_ground_is_in_two_splits(shared_data: Path):
    found: dict[str, list[NDArray[np.uint64]]] = {}
    for item in json.loads((shared_data / "manifest.json").read_text())["items"]:
        file = item["files"].get("gt") or item["files"]["ms"]
        found.setdefault(item["split"], []).append(windows(shared_data / file))
    pixels = {split: np.concatenate(parts) for split, parts in found.items()}
    assert len(np.intersect1d(pixels["train"], pixels["train"][::2])) > 100_000  # what is shared is seen
    for left, right in (("train", "test"), ("train", "val"), ("val", "test")):
        assert len(np.intersect1d(pixels[left], pixels[right])) == 0, (left, right)
