"""Full-resolution pairs, and the crop a manifest may state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tiny_training import write_imagery, write_items

from bnnpan.data.full_pairs import load_full_pairs
from bnnpan.data.lms import interp23tap
from bnnpan.data.pairs import load_pairs
from bnnpan_runtime.errors import ConfigError, SceneError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    """72 x 72 MS and 288 x 288 PAN pixels."""
    return write_imagery(tmp_path, "one") | {"split": "val"}


def stored(folder: Path, kind: str) -> Any:
    with rasterio.open(folder / f"one_{kind}.tif") as file:
        return file.read().astype(float)


def test_pair_is_the_files_as_they_are_and_the_lms_of_the_phase(item: dict[str, Any], tmp_path: Path) -> None:
    manifest = write_items(tmp_path, [item])
    for phase in ("toolbox", "centred"):
        (pair,) = load_full_pairs(manifest, "val", ["red", "blue"], phase=phase)
        np.testing.assert_array_equal(pair.pan, stored(tmp_path, "pan"))
        np.testing.assert_array_equal(pair.ms, stored(tmp_path, "ms")[[2, 0]])
        np.testing.assert_array_equal(pair.lms, interp23tap(pair.ms, 4, phase))
        assert pair.dn_scale == 2047 and pair.valid.all()


def test_pair_ends_at_the_last_whole_block(item: dict[str, Any], tmp_path: Path) -> None:
    (pair,) = load_full_pairs(write_items(tmp_path, [item | {"crop": [3, 1, 45, 71]}]), "val")
    assert (pair.ms.shape, pair.pan.shape) == ((4, 40, 64), (1, 160, 256))
    np.testing.assert_array_equal(pair.ms, stored(tmp_path, "ms")[:, 3:43, 1:65])
    np.testing.assert_array_equal(pair.pan, stored(tmp_path, "pan")[:, 12:172, 4:260])


def test_nodata_of_either_file_is_masked_with_a_margin(item: dict[str, Any], tmp_path: Path) -> None:
    for kind, pixel in (("ms", (10, 20)), ("pan", (200, 8))):
        with rasterio.open(tmp_path / f"one_{kind}.tif", "r+") as file:
            image = file.read()
            image[:, *pixel] = 0
            file.write(image)
    (pair,) = load_full_pairs(write_items(tmp_path, [item]), "val")
    expected = np.ones((288, 288), bool)
    expected[40 - 12 : 44 + 12, 80 - 12 : 84 + 12] = False
    expected[200 - 12 : 201 + 12, : 9 + 12] = False
    np.testing.assert_array_equal(pair.valid, expected)


@pytest.mark.parametrize(
    "change",
    [{"ratio": 2}, {"band_names": ["a", "b", "c", "d"]}, {"files": {"ms": "one_ms.tif"}}],
)
def test_other_items_are_skipped(item: dict[str, Any], tmp_path: Path, change: dict[str, Any]) -> None:
    assert load_full_pairs(write_items(tmp_path, [item | change]), "val") == []


def test_crop_is_what_reduced_pairs_see_as_well(item: dict[str, Any], tmp_path: Path) -> None:
    (pair,) = load_pairs(write_items(tmp_path, [item | {"crop": [3, 1, 45, 71]}]), "val")
    np.testing.assert_array_equal(pair.gt, stored(tmp_path, "ms")[:, 3:47, 1:69])
    assert pair.pan.shape == (1, 44, 68)


@pytest.mark.parametrize("crop", [[0, 0, 8], [0, 0, 0, 8], [-1, 0, 8, 8], [0.5, 0, 8, 8], "all"])
def test_a_crop_that_is_none_is_explained(item: dict[str, Any], tmp_path: Path, crop: Any) -> None:
    with pytest.raises(ConfigError, match="`crop` of one must be"):
        load_full_pairs(write_items(tmp_path, [item | {"crop": crop}]), "val")


def test_a_crop_beyond_the_image_is_explained(item: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="not within the image"):
        load_full_pairs(write_items(tmp_path, [item | {"crop": [60, 0, 16, 16]}]), "val")


def test_a_scene_without_a_whole_block_is_explained(item: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="one: less than 32 x 32"):
        load_full_pairs(write_items(tmp_path, [item | {"crop": [0, 0, 7, 60]}]), "val")
