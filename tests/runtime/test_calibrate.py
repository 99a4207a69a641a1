"""Calibration patches: of the scene alone, on data, evenly spread."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from raw_scenes import RawScene, SceneWriter

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import patch_windows
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import open_scene


def patches_of(raw: RawScene, bundle: Bundle) -> list[Window]:
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        return patch_windows(scene, Resampler(scene.grid, "centred"), bundle.manifest.calibration)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 301), (500, 420)])
def test_patches_lie_in_the_scene_on_even_pixels(
    write_scene: SceneWriter, bundle: Bundle, height: int, width: int
):
    patches = patches_of(write_scene(height, width), bundle)
    assert len(patches) == bundle.manifest.calibration.count
    for patch in patches:
        assert patch.row % 2 == patch.col % 2 == 0
        assert 0 <= patch.row <= height - patch.height and 0 <= patch.col <= width - patch.width


def test_every_quarter_of_a_scene_gets_its_share(write_scene: SceneWriter, bundle: Bundle):
    patches = patches_of(write_scene(500, 500), bundle)
    quarters = [(patch.row + 32 >= 250, patch.col + 32 >= 250) for patch in patches]
    assert min(quarters.count((low, left)) for low in (False, True) for left in (False, True)) >= 3


def test_patches_are_taken_where_there_are_data(write_scene: SceneWriter, bundle: Bundle):
    def blank(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[:, :400] = 0

    patches = patches_of(write_scene(500, 600, nodata=0, change=blank), bundle)
    assert all(patch.col >= 398 for patch in patches)


def test_where_no_place_is_complete_the_most_complete_ones_are_taken(
    write_scene: SceneWriter, bundle: Bundle
):
    """A strip of data narrower than a patch: in the order of the sequence, most patches would be empty."""

    def blank(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[:, :280] = 0
        pan[:, 320:] = 0

    patches = patches_of(write_scene(500, 600, nodata=0, change=blank), bundle)
    assert all(patch.col < 320 and patch.col + patch.width > 280 for patch in patches)


@pytest.mark.parametrize(
    ("factor", "bit_depth", "refused"), [(8, None, True), (8, 16, False), (1, None, False)]
)
def test_a_scene_of_more_bits_than_assumed_is_refused(
    write_scene: SceneWriter,
    depth_bundle: Bundle,
    tmp_path: Path,
    factor: int,
    bit_depth: int | None,
    refused: bool,
):
    def brighten(pan: np.ndarray, ms: np.ndarray) -> None:
        pan *= factor
        ms *= factor

    raw, out = write_scene(change=brighten), tmp_path / "out.tif"
    expected = pytest.raises(SceneError, match="--bit-depth") if refused else nullcontext()
    with expected:
        fuse(raw.pan, raw.ms, depth_bundle, out, memory="4GiB", backend="native", bit_depth=bit_depth)
    assert out.exists() != refused


def test_a_few_hot_pixels_are_no_reason_to_refuse(
    write_scene: SceneWriter, depth_bundle: Bundle, tmp_path: Path
):
    def burn(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[::40, ::40] = 65535

    raw = write_scene(change=burn)
    fuse(raw.pan, raw.ms, depth_bundle, tmp_path / "out.tif", memory="4GiB", backend="native")
