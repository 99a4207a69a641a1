from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnpan_runtime.errors import OutputError, SceneError
from bnnpan_runtime.lowpass import gaussian_taps, reach, sample
from bnnpan_runtime.synth.capture import MS_GAIN, Scene
from bnnpan_runtime.synth.noise import Lattice, value_noise
from bnnpan_runtime.synth.write import FILE_NAMES, write_scene

SCENE = Scene(seed=3, bands=4, ratio=4, bit_depth=11)


@pytest.fixture(scope="module")
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder, SCENE, 384, 512)
    return folder


def test_the_same_seed_gives_the_same_bytes(scene_folder: Path, tmp_path: Path):
    write_scene(tmp_path, SCENE, 384, 512)
    for name in FILE_NAMES:
        assert (tmp_path / name).read_bytes() == (scene_folder / name).read_bytes()


def test_known_pixels_stay_as_they_are():
    shot = SCENE.shoot(1000, 2000, 8, 8)
    assert shot.pan[0].tolist() == [232, 259, 306, 339, 408, 410, 381, 386]
    assert shot.ms[:, 1, 1].tolist() == [433, 432, 432, 527]
    assert shot.truth[:, 4, 4].tolist() == [571, 601, 653, 708]


@pytest.mark.parametrize("window", [64, 100, 256])
def test_pixels_do_not_depend_on_the_window(scene_folder: Path, tmp_path: Path, window: int):
    write_scene(tmp_path, SCENE, 384, 512, window=window)
    for name in FILE_NAMES:
        with rasterio.open(tmp_path / name) as small, rasterio.open(scene_folder / name) as large:
            np.testing.assert_array_equal(small.read(), large.read())


@settings(max_examples=10, deadline=None)
@given(row=st.integers(-50, 5000), col=st.integers(-50, 5000), seed=st.integers(0, 2**32 - 1))
def test_a_pixel_is_a_function_of_seed_and_place(row: int, col: int, seed: int):
    scene = Scene(seed, 3, 4, 11)
    row, col = 4 * row, 4 * col
    large, small = scene.shoot(row, col, 40, 48), scene.shoot(row + 12, col + 20, 16, 24)
    np.testing.assert_array_equal(small.pan, large.pan[12:28, 20:44])
    np.testing.assert_array_equal(small.truth, large.truth[:, 12:28, 20:44])
    np.testing.assert_array_equal(small.ms, large.ms[:, 3:7, 5:11])


def test_a_larger_scene_contains_the_smaller_one(scene_folder: Path, tmp_path: Path):
    write_scene(tmp_path, SCENE, 640, 640)
    with rasterio.open(tmp_path / "pan.tif") as large, rasterio.open(scene_folder / "pan.tif") as small:
        np.testing.assert_array_equal(large.read(1)[:384, :512], small.read(1))


def test_ms_is_the_truth_seen_through_the_ms_optics_at_true_centres():
    shot = SCENE.shoot(0, 0, 512, 512)
    taps = gaussian_taps(MS_GAIN, 4)
    margin = -(-reach(taps, 4) // 4)
    skip = 4 * margin - reach(taps, 4)
    reduced = np.stack([sample(band[skip:, skip:].astype(np.float32), taps, 4) for band in shot.truth])
    ms = shot.ms[:, margin : margin + reduced.shape[1], margin : margin + reduced.shape[2]]
    difference = ms - reduced
    assert np.abs(difference.mean()) < 0.2
    noise = np.sqrt(reduced / 45 + 1.2**2)
    assert 0.9 < (difference / noise).std() < 1.1


def test_dn_use_eleven_bits_and_are_never_zero(scene_folder: Path):
    for name in FILE_NAMES:
        with rasterio.open(scene_folder / name) as dataset:
            values = dataset.read()
        assert values.dtype == np.uint16
        assert 1 <= values.min() and values.max() <= 2047
        assert values.max() > 500


def test_eight_bit_scenes_are_the_same_landscape():
    fine, coarse = SCENE.shoot(0, 0, 64, 64), Scene(3, 4, 4, 8).shoot(0, 0, 64, 64)
    assert coarse.pan.dtype == np.uint8
    np.testing.assert_allclose(coarse.pan, fine.pan * (255 / 2047), atol=0.6)


def test_rasters_are_tiled_and_lie_on_each_other(scene_folder: Path):
    opened = [rasterio.open(scene_folder / name) for name in FILE_NAMES]
    pan, ms, truth = opened
    assert (pan.shape, ms.shape, truth.shape) == ((384, 512), (96, 128), (384, 512))
    assert pan.bounds == ms.bounds == truth.bounds
    assert pan.res == (0.5, 0.5) and ms.res == (2.0, 2.0)
    assert all(dataset.crs.to_epsg() == 32631 and dataset.profile["tiled"] for dataset in opened)
    assert ms.descriptions == truth.descriptions == ("blue", "green", "red", "nir")
    for dataset in opened:
        dataset.close()


def test_bands_are_correlated_and_vegetation_is_bright_in_the_infrared():
    truth = SCENE.shoot(2048, 2048, 512, 512).truth.reshape(4, -1).astype(float)
    correlation = np.corrcoef(truth)
    assert correlation[0, 1] > 0.8 and correlation[1, 2] > 0.7
    ndvi = (truth[3] - truth[2]) / (truth[3] + truth[2])
    assert np.percentile(ndvi, 90) > 0.5


def test_pan_is_sharper_than_interpolated_ms():
    shot = SCENE.shoot(1024, 1024, 512, 512)
    coarse = np.repeat(np.repeat(shot.ms.mean(axis=0), 4, axis=0), 4, axis=1)
    assert np.abs(np.diff(shot.pan.astype(float))).mean() > 2 * np.abs(np.diff(coarse)).mean()


def test_noise_has_the_deviation_it_promises():
    values = value_noise(Lattice(0, 0, 600, 600), 5, 1, 12)
    assert abs(values.mean()) < 0.1 and 0.9 < values.std() < 1.1


def test_seeds_give_different_scenes():
    assert (
        Scene(0, 4, 4, 11).shoot(0, 0, 64, 64).pan != Scene(1, 4, 4, 11).shoot(0, 0, 64, 64).pan
    ).mean() > 0.9


@pytest.mark.parametrize("ratio", [2, 3, 5])
def test_any_whole_ratio_works(tmp_path: Path, ratio: int):
    scene = Scene(0, 8, ratio, 11)
    write_scene(tmp_path, scene, 30 * ratio, 40 * ratio, window=10 * ratio)
    with rasterio.open(tmp_path / "ms.tif") as ms:
        assert (ms.count, ms.shape) == (8, (30, 40))


def test_existing_files_are_kept_unless_asked(tmp_path: Path):
    (tmp_path / "ms.tif").write_text("precious")
    with pytest.raises(OutputError, match=r"ms\.tif: exists"):
        write_scene(tmp_path, SCENE, 64, 64)
    assert [path.name for path in tmp_path.iterdir()] == ["ms.tif"]
    write_scene(tmp_path, SCENE, 64, 64, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == set(FILE_NAMES)


def test_nothing_is_left_of_an_interrupted_run(tmp_path: Path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scene(tmp_path / "new", SCENE, 64, 64, progress=interrupt)
    assert not list((tmp_path / "new").iterdir())


def test_impossible_sizes_are_refused(tmp_path: Path):
    with pytest.raises(SceneError, match="multiple of the ratio"):
        write_scene(tmp_path, SCENE, 66, 64)
    with pytest.raises(SceneError, match="3, 4 or 8"):
        write_scene(tmp_path, Scene(0, 5, 4, 11), 64, 64)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot make the folder: [^\n]+$"):
        write_scene(tmp_path / "file" / "scene", SCENE, 64, 64)


def test_a_scene_larger_than_the_disk_is_refused_at_once(tmp_path: Path):
    with pytest.raises(OutputError, match="are free"):
        write_scene(tmp_path, SCENE, 2**24, 2**24)
    assert not list(tmp_path.iterdir())
