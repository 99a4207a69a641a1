from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bnnpan.data.lms import interp23tap
from bnnpan.data.pancollection import PanCollection
from bnnpan.data.wald import mtf_filter
from bnnpan_runtime.errors import ConfigError

GAINS = {"qb": (0.34, 0.32, 0.30, 0.22), "gf2": (0.30,) * 4}


def write_collection(path: Path, tag: str, patches: int = 12, shifted: int = 0) -> Path:
    """A file in PanCollection's layout; the first `shifted` patches are decimated one pixel too early."""
    random = np.random.default_rng(0)
    rough = random.uniform(0, 1000, (patches, 4, 64, 64))
    gt = np.round(gaussian_filter(rough, (0, 0, 1.5, 1.5)) * 3)
    filtered = [mtf_filter(patch, GAINS[tag]) for patch in gt]
    ms = np.stack([patch[:, 1 if i < shifted else 2 :: 4, 2::4] for i, patch in enumerate(filtered)])
    with h5py.File(path, "w") as file:
        file["gt"], file["ms"], file["pan"] = gt, ms, gt.mean(axis=1, keepdims=True)
        file["lms"] = np.stack([interp23tap(patch) for patch in ms])
    return path


def test_batches_are_file_patches_in_network_units(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "train_gf2.h5", "gf2")
    with PanCollection(path, flips=False) as collection, h5py.File(path) as file:
        assert (len(collection), collection.bands, collection.ratio) == (12, 4, 4)
        pan, lms, gt = collection.sample(5)
        assert (pan.shape, lms.shape, gt.shape) == ((5, 1, 64, 64), (5, 4, 64, 64), (5, 4, 64, 64))
        assert pan.dtype == lms.dtype == gt.dtype == np.float32
        stored = file["gt"][:] / 1023
        assert all(np.isclose(stored, patch, rtol=1e-5).all(axis=(1, 2, 3)).any() for patch in gt)


@pytest.mark.parametrize(
    ("name", "sensor", "bit_depth"),
    [("valid_qb", "QuickBird", 11), ("train_wv2", "WorldView-2", 11), ("train_gf2", "none", 10)],
)
def test_name_decides_sensor_and_bit_depth(tmp_path: Path, name: str, sensor: str, bit_depth: int) -> None:
    with PanCollection(write_collection(tmp_path / f"{name}.h5", "gf2")) as collection:
        assert (collection.sensor.name, collection.bit_depth) == (sensor, bit_depth)


def test_flips_turn_pan_lms_and_ground_truth_alike(tmp_path: Path) -> None:
    with PanCollection(write_collection(tmp_path / "train_qb.h5", "qb")) as collection:
        pan, _, gt = collection.sample(16)
    np.testing.assert_allclose(pan[:, 0], gt.mean(axis=1), rtol=1e-5)


def test_resumed_collection_continues_to_the_bit(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "train_qb.h5", "qb")
    with PanCollection(path, seed=1) as collection, PanCollection(path, seed=2) as resumed:
        collection.sample(3)
        saved = json.loads(json.dumps(collection.state()))
        expected = collection.sample(6)
        resumed.set_state(saved)
        for left, right in zip(resumed.sample(6), expected, strict=True):
            np.testing.assert_array_equal(left, right)


def test_shifted_decimation_is_found_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with PanCollection(write_collection(tmp_path / "train_qb.h5", "qb", shifted=8)) as collection:
        report = collection.check_phase()
    assert (report.checked, report.shifted) == (12, 8)
    assert report.phases == ((1, 2),) * 8 + ((2, 2),) * 4
    assert "8 of 12 patches" in caplog.text
    with PanCollection(write_collection(tmp_path / "valid_qb.h5", "qb")) as collection:
        assert collection.check_phase(4).shifted == 0


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PanCollection file"):
        PanCollection(tmp_path / "absent.h5")
    with h5py.File(tmp_path / "full.h5", "w") as file:
        file["ms"] = file["lms"] = file["pan"] = np.zeros((1, 4, 16, 16))
    with pytest.raises(ConfigError, match="has no gt"):
        PanCollection(tmp_path / "full.h5")
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["gt"] = file["lms"] = np.zeros((2, 4, 64, 64))
        file["pan"], file["ms"] = np.zeros((2, 1, 64, 64)), np.zeros((2, 3, 16, 16))
    with pytest.raises(ConfigError, match="do not fit together"):
        PanCollection(tmp_path / "odd.h5")
