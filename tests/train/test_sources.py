"""`--data` may name a manifest, its folder, or a PanCollection file; each trains all three stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from tiny_training import write_imagery, write_items

from bnnpan.checkpoint import load_model
from bnnpan.cli.train import command
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


def write_collection(path: Path, seed: int = 0) -> Path:
    gt = np.random.default_rng(seed).integers(1, 2047, (3, 4, 64, 64)).astype(np.float64)
    ms = np.stack([degrade_ms(image, find_sensor("QB").gains(4), 4) for image in gt])
    arrays = {
        "gt": gt,
        "ms": ms,
        "lms": np.stack([interp23tap(m) for m in ms]),
        "pan": gt.mean(1, keepdims=True),
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "train_qb.h5")


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    items = [write_imagery(folder, f"noise_{split}") | {"split": split} for split in ("train", "val")]
    return write_items(folder, items)


def invoke(**options: Path) -> Any:
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return CliRunner().invoke(command, arguments)


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


def test_second_file_is_validated_on(h5: Path, tmp_path: Path):
    config, run = tmp_path / "qb.toml", tmp_path / "run"
    config.write_text(
        """
        data = { phase = "toolbox" }
        model = { channels = 4, blocks = 1, latent = 4 }
        [training]
        stage_one = { steps = 2, batch = 2 }
        stage_two = { steps = 1, batch = 2 }
        stage_three = { steps = 2, batch = 2 }
        """
    )
    valid = write_collection(tmp_path / "valid_qb.h5", seed=1)
    result = invoke(config=config, data=h5, validation=valid, out=run)
    assert result.exit_code == 0, result.output
    _, _, provenance = load_model(run)
    assert provenance["data"] == ["train_qb.h5"]
    assert provenance["validation"]["relative_ergas"] > 0
    assert (run / "pictures" / "stage-III-000002.png").exists()


def test_choosing_by_a_test_file_is_warned_of(h5: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    test = write_collection(tmp_path / "test_qb_multiExm1.h5", seed=1)
    assert len(open_data(h5, TINY, test).validation) == 3
    assert "must not be tested on it" in caplog.text


def test_manifest_and_collection_may_be_combined(h5: Path, scenes: Path):
    assert [pair.name for pair in open_data(h5, TINY, scenes).validation] == ["noise_val"]
    small = replace(TINY, data=replace(TINY.data, patch=16))
    assert [pair.name for pair in open_data(scenes, small).validation] == ["noise_val"]
    assert open_data(scenes, small, h5).validation[0].name == "train_qb_0"


def test_a_kind_left_out_of_training_is_validated_on(tmp_path: Path):
    items = [write_imagery(tmp_path, name) | {"split": "train"} for name in ("seen_1", "unseen_1")]
    scenes = write_items(tmp_path, items)
    without = replace(TINY, data=replace(TINY.data, leave_out=("unseen",)))
    opened = open_data(scenes, without)
    assert opened.names == ["seen_1"]
    assert [pair.name for pair in opened.validation] == ["unseen_1"]
    with pytest.raises(ConfigError, match="leave_out names other"):
        open_data(scenes, replace(TINY, data=replace(TINY.data, leave_out=("other",))))


def test_resume_notices_other_pixels_under_the_same_names(scenes: Path, tmp_path: Path):
    """One pixel of one training scene changes between two parts of a run."""
    small = replace(TINY, data=replace(TINY.data, patch=16))
    for stop in (3, None):
        opened = open_data(scenes, small)
        provenance = {"data": opened.names, "data_sha256": opened.digest}
        if stop:
            train(small, opened.source, tmp_path / "run", provenance=provenance, stop_after=stop)
            with rasterio.open(scenes.parent / "noise_train_ms.tif", "r+") as file:
                image = file.read()
                image[0, 5, 5] += 1
                file.write(image)
        else:
            with pytest.raises(ConfigError, match="data_sha256 is not what this run was started with"):
                train(small, opened.source, tmp_path / "run", provenance=provenance, resume=True)


def test_manifest_or_its_folder_are_the_same(shared_data: Path):
    folder, file = (open_data(path, TINY) for path in (shared_data, shared_data / "manifest.json"))
    assert folder.names == file.names
    assert all(
        np.array_equal(a, b) for a, b in zip(folder.source.sample(2), file.source.sample(2), strict=True)
    )


def test_missing_data_is_one_clear_line(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no such data manifest"):
        open_data(tmp_path / "nowhere", TINY)
