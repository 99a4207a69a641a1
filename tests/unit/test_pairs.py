"""Pairs of a data manifest: what is read, degraded and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from bnnpan.data.pairs import load_pairs
from bnnpan.data.patches import VARIANT_GAINS
from bnnpan_runtime.errors import ConfigError, SceneError


def write(path: Path, image: NDArray[Any]) -> str:
    count, height, width = image.shape
    profile = {"driver": "GTiff", "dtype": "uint16", "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(image.astype(np.uint16))
    return path.name


def item(name: str, split: str, files: dict[str, str], **more: Any) -> dict[str, Any]:
    common = {
        "sensor": "WorldView-2",
        "use": "training and evaluation",
        "bit_depth": 11,
        "ratio": 4,
        "band_names": ["nir", "red", "green", "blue"],
    }
    return {"name": name, "split": split, "files": files, **common, **more}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Scenes of every kind the manifest format knows, small and random."""
    random = np.random.default_rng(0)
    ms = random.integers(100, 1800, (4, 98, 101))
    pan = random.integers(100, 1800, (1, 392, 404))
    dark = ms.copy()
    dark[:, :10] = 0
    files = {"ms": write(tmp_path / "ms.tif", ms), "pan": write(tmp_path / "pan.tif", pan)}
    half = {"ms": files["ms"], "pan": write(tmp_path / "half.tif", pan[:, ::2, ::2])}
    holed = {"ms": write(tmp_path / "dark.tif", dark), "pan": files["pan"]}
    given = {
        "gt": write(tmp_path / "gt.tif", ms[:, :96, :96]),
        "pan": write(tmp_path / "gpan.tif", pan[:, :96, :96]),
        "ms": write(tmp_path / "gms.tif", ms[:, 2:96:4, 2:96:4]),
    }
    items = [
        item("four_1", "train", files),
        item("half_1", "train", half, ratio=2, sensor="Landsat-7 ETM+"),
        item("sole_1", "train", {"ms": files["ms"]}, ratio=None),
        item("ten_1", "train", {"ms": files["pan"], "ms10": files["ms"]}, band_names=[]),
        item("short_1", "train", files, band_names=["nir", "red", "green", "swir1"]),
        item("four_2", "val", holed),
        item("given_1", "test", given, use="evaluation only"),
    ]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"items": items}))
    return path


def edit(manifest: Path, name: str, **changes: Any) -> None:
    content = json.loads(manifest.read_text())
    for entry in content["items"]:
        if entry["name"] == name:
            entry.update(changes)
    manifest.write_text(json.dumps(content))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
class TestPairs:
    def test_every_kind_of_item_becomes_a_pair_on_its_own_ms_grid(self, manifest: Path) -> None:
        pairs = load_pairs(manifest, "train", variant_gains=VARIANT_GAINS)
        assert [pair.name for pair in pairs] == ["four_1", "half_1", "sole_1", "ten_1"]
        for pair in pairs:
            # what has no PAN is halved, so that its simulated PAN can be sharper than its bands
            height, width = (48, 48) if pair.simulated_pan else (96, 100)
            assert pair.gt.shape == pair.lms.shape == pair.sharp.shape == (4, height, width)
            assert pair.pan.shape == (1, height, width)
            assert pair.ms.shape == (4, height // 4, width // 4)
            assert pair.lms_variants.shape == (3, 4, height, width)
            assert pair.valid.all()
            assert pair.dn_scale == 2047
        assert [pair.simulated_pan for pair in pairs] == [False, False, True, True]
        assert [pair.kind for pair in pairs] == ["four", "half", "sole", "ten"]

    def test_bands_come_in_the_wanted_order(self, manifest: Path) -> None:
        four, ten = load_pairs(manifest, "train", names=["four_1", "ten_1"])
        for band in range(4):
            halved = four.gt[band, :96, :96].reshape(48, 2, 48, 2).mean(axis=(1, 3))
            assert np.corrcoef(halved.ravel(), ten.sharp[3 - band].ravel())[0, 1] > 0.9
        assert load_pairs(manifest, "train", bands=("red",), names=["four_1"])[0].gt.shape == (1, 96, 100)

    def test_item_without_a_wanted_band_is_skipped_and_logged(
        self, manifest: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        load_pairs(manifest, "train")
        assert "short_1 skipped: it has no band blue" in caplog.text

    def test_ratio_two_pan_is_shrunk_onto_the_ms_grid(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "train", names=["half_1"])
        with rasterio.open(manifest.parent / "half.tif") as dataset:
            pan = dataset.read().astype(float)
        blocks = pan[0, :192, :200].reshape(96, 2, 100, 2).mean(axis=(1, 3))
        assert np.corrcoef(blocks.ravel(), pair.pan.ravel())[0, 1] > 0.9

    def test_simulated_pan_is_sharper_than_the_bands(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "train", names=["sole_1"])
        np.testing.assert_allclose(pair.pan[0], pair.sharp.mean(axis=0), rtol=1e-6)
        assert (pair.sharp.std(axis=(1, 2)) > 1.2 * pair.gt.std(axis=(1, 2))).all()
        np.testing.assert_allclose(pair.sharp.mean(axis=(1, 2)), pair.gt.mean(axis=(1, 2)), rtol=0.01)

    def test_nodata_and_its_surroundings_are_invalid(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "val")
        assert not pair.valid[:22].any()
        assert pair.valid[22:].all()

    def test_given_degraded_data_are_used_as_they_are(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "test")
        np.testing.assert_allclose(pair.lms[:, 2::4, 2::4], pair.ms, rtol=1e-6)

    def test_phases_differ_by_the_position_of_the_samples_only(self, manifest: Path) -> None:
        (centred,) = load_pairs(manifest, "train", names=["four_1"])
        (toolbox,) = load_pairs(manifest, "train", names=["four_1"], phase="toolbox")
        np.testing.assert_array_equal(centred.gt, toolbox.gt)
        np.testing.assert_array_equal(centred.pan, toolbox.pan)
        np.testing.assert_allclose(toolbox.lms[:, 2::4, 2::4], toolbox.ms, rtol=1e-5)
        assert not np.allclose(centred.ms, toolbox.ms, rtol=0.01)

    @pytest.mark.parametrize("use", ["evaluation only: never for weights that ship", "not for training"])
    def test_training_split_refuses_items_whose_use_forbids_it(self, manifest: Path, use: str) -> None:
        edit(manifest, "four_1", use=use)
        with pytest.raises(ConfigError, match="four_1 must not be trained on"):
            load_pairs(manifest, "train")

    def test_test_item_cannot_be_had_for_training(self, manifest: Path) -> None:
        with pytest.raises(ConfigError, match="given_1 is not in the train split"):
            load_pairs(manifest, "train", names=["given_1"])

    def test_damaged_manifest_is_explained(self, manifest: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="data manifest"):
            load_pairs(tmp_path / "absent.json", "train")
        edit(manifest, "half_1", ratio=None)
        with pytest.raises(ConfigError, match="half_1 does not state `ratio`"):
            load_pairs(manifest, "train")
        edit(manifest, "half_1", ratio=2)
        edit(manifest, "four_1", files={"ms": "absent.tif"})
        with pytest.raises(SceneError, match=r"absent\.tif cannot be read"):
            load_pairs(manifest, "train")
        manifest.write_text('{"items": [{"name": "x", "split": "train"}]}')
        with pytest.raises(ConfigError, match="x does not state `use`"):
            load_pairs(manifest, "train")


def test_evaluation_only_scene_of_the_real_data_is_refused_for_training(shared_data: Path) -> None:
    with pytest.raises(ConfigError, match="ikonos_1 is not in the train split"):
        load_pairs(shared_data / "manifest.json", "train", names=["ikonos_1"])
