from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bnnpan.data.lms import interp23tap
from bnnpan.data.pancollection import PanCollection, load_full_collection
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
        pan, lms, gt, *_ = collection.sample(5)
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
        pan, _, gt, *_ = collection.sample(16)
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
    assert "8 of 12 patches" in caplog.text and "recompute_lms" in caplog.text
    with PanCollection(write_collection(tmp_path / "valid_qb.h5", "qb")) as collection:
        assert collection.check_phase(4).shifted == 0


def test_recomputed_lms_of_a_shifted_file_is_that_of_a_right_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shifted = write_collection(tmp_path / "train_qb.h5", "qb", shifted=12)
    right = write_collection(tmp_path / "valid_qb.h5", "qb")
    with PanCollection(shifted, recompute=True) as cured, PanCollection(right) as sound:
        np.testing.assert_allclose(cured.sample(4).lms, sound.sample(4).lms, atol=1e-5)
        cured.check_phase()
    assert "recompute_lms" not in caplog.text
    with PanCollection(shifted) as ill, PanCollection(right) as sound:
        assert np.abs(ill.sample(4).lms - sound.sample(4).lms).max() > 0.01


def test_scene_units_know_no_brightness(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "train_qb.h5", "qb")
    with PanCollection(path, units="scene") as collection:
        dim = collection.sample(4)
    with h5py.File(path, "r+") as file:
        for key in ("pan", "lms", "ms", "gt"):
            file[key][:] = 2 * file[key][:]
    with PanCollection(path, units="scene") as collection:
        bright = collection.sample(4)
    for left, right in zip(bright[:3], dim[:3], strict=True):
        np.testing.assert_allclose(left, right, atol=1e-3)
    np.testing.assert_allclose(bright.contrast, 2 * dim.contrast, rtol=1e-5)
    assert np.abs(dim.truth.mean(axis=(2, 3))).max() < 0.1


def test_digest_tells_files_apart(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "train_qb.h5", "qb")
    same = write_collection(tmp_path / "again_qb.h5", "qb")
    other = write_collection(tmp_path / "other_qb.h5", "qb", shifted=1)
    with PanCollection(path) as a, PanCollection(same) as b, PanCollection(other) as c:
        assert a.digest() == b.digest() != c.digest()
    with PanCollection(path, recompute=True) as cured:
        assert cured.digest() != PanCollection(path).digest()


def test_patches_become_pairs_to_validate_on(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "valid_gf2.h5", "gf2")
    with PanCollection(path) as collection, h5py.File(path) as file:
        pairs = collection.pairs(("blue", "green", "red", "nir"), 3)
        assert [pair.name for pair in pairs] == ["valid_gf2_0", "valid_gf2_5", "valid_gf2_11"]
        assert len(collection.pairs(("blue", "green", "red", "nir"), 64)) == 12
        np.testing.assert_array_equal(pairs[1].gt, file["gt"][5].astype(np.float32))
    assert pairs[0].split == "val" and pairs[0].dn_scale == 1023 and pairs[0].valid.all()


def test_full_resolution_file_gives_real_pairs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "test_wv3_OrigScale_multiExm1.h5"
    with h5py.File(path, "w") as file:
        file["ms"] = random.integers(0, 2047, (2, 8, 32, 32)).astype(float)
        file["lms"], file["pan"] = np.ones((2, 8, 128, 128)), np.ones((2, 1, 128, 128))
    bands = ("coastal", "blue", "green", "yellow", "red", "red_edge", "nir1", "nir2")
    first, second = load_full_collection(path, bands)
    assert (first.name, second.name) == (f"{path.stem}_0", f"{path.stem}_1")
    assert (first.sensor, first.bands, first.dn_scale) == ("WorldView-3", bands, 2047)
    assert (first.pan.shape, first.lms.shape, first.ms.shape) == ((1, 128, 128), (8, 128, 128), (8, 32, 32))
    with pytest.raises(ConfigError, match="has 8 bands, not 4"):
        load_full_collection(path, ("blue", "green", "red", "nir"))


def test_name_without_a_sensor_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with PanCollection(write_collection(tmp_path / "mine.h5", "gf2")) as collection:
        assert (collection.sensor.name, collection.bit_depth) == ("none", 11)
    assert "unknown sensor of 11 bits" in caplog.text


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
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file["gt"] = file["lms"] = file["pan"] = file["ms"] = np.zeros(3)
    with pytest.raises(ConfigError, match="do not fit together"):
        PanCollection(tmp_path / "flat.h5")
