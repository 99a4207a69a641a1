"""A network, patches and imagery small enough to train within a test.

As a program, `tiny_training.py EXPERIMENT.json RUN` trains on noise and resumes what it finds.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.errors import NotGeoreferencedWarning
from scipy.ndimage import gaussian_filter

from bnnpan.checkpoint import load_model
from bnnpan.config import Experiment, StageConfig, TrainingConfig, parse_experiment
from bnnpan.data.batch import Arrays, Batch
from bnnpan.model import ModelConfig
from bnnpan.training import train

TINY = Experiment(
    model=ModelConfig(channels=4, blocks=1, latent=4),
    training=TrainingConfig(
        stage_one=StageConfig(12, batch=2),
        stage_two=StageConfig(8, batch=2),
        stage_three=StageConfig(6, batch=2),
        checkpoint_every=5,
    ),
)

BGRN = ("blue", "green", "red", "nir")


class NoisePatches:
    """A patch source that needs no data: blurred noise, its position a counter."""

    def __init__(self, bands: int = 4) -> None:
        self.position, self.bands = 0, bands

    def sample(self, batch: int) -> Arrays:
        random = np.random.default_rng(self.position)
        self.position += 1
        truth = random.random((batch, self.bands, 16, 16), dtype=np.float32)
        lms = (truth + np.roll(truth, 1, 2) + np.roll(truth, 1, 3)) / 3
        level, contrast = random.random((2, batch, self.bands), dtype=np.float32) + 0.5
        return Batch(truth.mean(1, keepdims=True), lms, truth, level, contrast)

    def state(self) -> Any:
        return self.position

    def set_state(self, state: Any) -> None:
        self.position = state


def tensors(run: Path) -> dict[str, torch.Tensor]:
    """Everything a finished run has learnt."""
    return dict(load_model(run)[0].state_dict())


def losses(run: Path) -> list[tuple[str, int, float]]:
    """Stage, step and loss of every line of metrics."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["stage"], line["step"], line["loss"]) for line in lines]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def write_imagery(folder: Path, name: str, bands: Sequence[str] = BGRN, ratio: int = 4) -> dict[str, Any]:
    """A pair of blurred noise as GeoTIFF, and its item for a manifest, of the training split."""
    random = np.random.default_rng(len(list(folder.iterdir())))
    rough = random.standard_normal((len(bands), 72 * ratio, 72 * ratio))
    fine = 1000 + 2000 * gaussian_filter(rough, (0, 3, 3))
    images = {"pan": fine.mean(0, keepdims=True), "ms": fine[:, ratio // 2 :: ratio, ratio // 2 :: ratio]}
    for kind, image in images.items():
        path, (count, height, width) = folder / f"{name}_{kind}.tif", image.shape
        size = {"count": count, "height": height, "width": width}
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(path, "w", driver="GTiff", dtype="uint16", **size) as file,
        ):
            file.write(image.clip(0, 2047).astype(np.uint16))
    return {
        "name": name,
        "sensor": "synthetic",
        "split": "train",
        "use": "training and evaluation",
        "ratio": ratio,
        "bit_depth": 11,
        "band_names": list(bands),
        "files": {kind: f"{name}_{kind}.tif" for kind in images},
    }


def write_items(folder: Path, items: Sequence[dict[str, Any]]) -> Path:
    """A manifest of these items."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({"items": items}))
    return path


if __name__ == "__main__":
    config, run = map(Path, sys.argv[1:])
    experiment = parse_experiment(json.loads(config.read_text()), str(config))
    train(experiment, NoisePatches(), run, provenance={}, resume=True)
