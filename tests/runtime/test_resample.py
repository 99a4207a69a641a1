"""LMS of a scene on disk, window by window."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_scenes import SceneWriter, read_raster

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene, open_scene


def streamed(scene: Scene, window: Window) -> NDArray[np.float32]:
    resampler = Resampler(scene.grid, "centred")
    area = resampler.ms_window(window)
    ms = np.empty((scene.bands, area.height, area.width), scene.dtype)
    scene.read_ms(area, ms)
    out = np.empty((scene.bands, window.height, window.width), np.float32)
    scratch = np.empty(resampler.scratch_floats(scene.bands, window.height, window.width), np.float32)
    resampler.interpolate(ms.astype(np.float32), window, out, scratch)
    return out


@pytest.mark.parametrize("offset", [(0, 0), (1.5, 0.5)])
def test_windows_read_from_disk_have_the_bits_of_the_whole(
    write_scene: SceneWriter, bundle: Bundle, offset: tuple[float, float]
):
    raw = write_scene(200, 180, ms_shape=(51, 46), offset=offset)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        whole = streamed(scene, Window(0, 0, 200, 180))
        for window in (Window(0, 0, 64, 64), Window(70, 34, 90, 100), Window(136, 116, 64, 64)):
            cut = whole[:, window.row : window.row + window.height, window.col : window.col + window.width]
            assert np.array_equal(streamed(scene, window), cut)


def test_an_ms_raster_larger_than_pan_is_used_beyond_the_edge_of_pan(
    write_scene: SceneWriter, bundle: Bundle
):
    """Real MS pixels beyond PAN are read, so PAN cut from a larger scene gets the LMS of the larger scene."""
    raw = write_scene(400, 400, ms_shape=(100, 100))
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        whole = streamed(scene, Window(0, 0, 400, 400))
    raw = write_scene(
        200, 200, ms_shape=(100, 100), offset=(100, 100), change=replace_ms(read_raster(raw.ms))
    )
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        assert np.array_equal(streamed(scene, Window(0, 0, 200, 200)), whole[:, 100:300, 100:300])


def replace_ms(image: np.ndarray):
    def change(pan: np.ndarray, ms: np.ndarray) -> None:
        ms[...] = image

    return change


def test_a_ramp_is_put_in_its_true_place(write_scene: SceneWriter, bundle: Bundle):
    """MS sample k covers PAN pixels 4k .. 4k + 3: a ramp of 4 DN per MS pixel is 1 per PAN pixel."""

    def ramp(pan: np.ndarray, ms: np.ndarray) -> None:
        ms[...] = 100 + 4 * np.arange(ms.shape[2])

    raw = write_scene(200, 200, ms_shape=(60, 60), offset=(8, 9.5), change=ramp)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        lms = streamed(scene, Window(0, 0, 200, 200))
    expected = 100 - 1.5 + np.arange(200) + 9.5
    # Away from the edge of MS, whose repetition bends a ramp.
    assert np.abs(lms[0, 100, 48:140] - expected[48:140]).max() < 0.02
