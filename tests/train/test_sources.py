"""`--data` may name a manifest, its folder, or a PanCollection file; each trains all three stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bnnpan.checkpoint import load_model
from bnnpan.config import DataConfig, Experiment, StageConfig, TrainingConfig
from bnnpan.data.lms import interp23tap
from bnnpan.data.sensors import find_sensor
from bnnpan.data.source import open_data
from bnnpan.data.wald import degrade_ms
from bnnpan.model import ModelConfig
from bnnpan.training import train
from bnnpan_runtime.errors import ConfigError

FEW = StageConfig(2, batch=2)
TINY = Experiment(
    model=ModelConfig(channels=4, blocks=1, latent=4),
    data=DataConfig(phase="toolbox"),
    training=TrainingConfig(stage_one=FEW, stage_two=FEW, stage_three=FEW),
)


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    gt = np.random.default_rng(0).integers(1, 2047, (3, 4, 64, 64)).astype(np.float64)
    ms = np.stack([degrade_ms(image, find_sensor("QB").gains(4), 4) for image in gt])
    arrays = {
        "gt": gt,
        "ms": ms,
        "lms": np.stack([interp23tap(m) for m in ms]),
        "pan": gt.mean(1, keepdims=True),
    }
    path = tmp_path / "train_qb.h5"
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def test_pancollection_file_trains_all_stages(h5: Path, tmp_path: Path):
    opened = open_data(h5, TINY)
    train(TINY, opened.source, tmp_path / "run", provenance={"data": opened.names})
    _, experiment, provenance = load_model(tmp_path / "run")
    assert experiment == TINY
    assert provenance["data"] == ["train_qb.h5"]


def test_pancollection_file_of_another_layout_is_refused(h5: Path):
    with pytest.raises(ConfigError, match="4 bands at ratio 4"):
        open_data(h5, replace(TINY, model=replace(TINY.model, ratio=2)))


def test_pancollection_file_of_another_bit_depth_is_refused(h5: Path):
    with pytest.raises(ConfigError, match=r"11 bits by its name, data\.bit_depth is 10"):
        open_data(h5, replace(TINY, data=DataConfig(phase="toolbox", bit_depth=10)))


def test_pancollection_file_needs_the_toolbox_phase(h5: Path):
    with pytest.raises(ConfigError, match="toolbox"):
        open_data(h5, replace(TINY, data=DataConfig(phase="centred")))


def test_manifest_or_its_folder_are_the_same(shared_data: Path):
    folder, file = (open_data(path, TINY) for path in (shared_data, shared_data / "manifest.json"))
    assert folder.names == file.names
    assert all(
        np.array_equal(a, b) for a, b in zip(folder.source.sample(2), file.source.sample(2), strict=True)
    )


def test_missing_data_is_one_clear_line(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no such data manifest"):
        open_data(tmp_path / "nowhere", TINY)
