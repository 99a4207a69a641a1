"""The PAN as MS sees it: the same bits whatever the window, and what the trainer makes of the whole image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnpan.data.appearance import in_units
from bnnpan.data.lms import interp23tap
from bnnpan.data.wald import seen_by_ms
from bnnpan_runtime.contract import Phase, Window
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.images import fill_images, image_arrays
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.shrink import Shrinker

UNITS = SceneUnits(700.3, 210.7, (401.5, 333.3), (120.9, 99.1), (0.8, 0.55))
PHASES: tuple[Phase, ...] = ("centred", "toolbox")


def around(pan: np.ndarray, window: Window) -> np.ndarray:
    """PAN of a window that may reach beyond the image, whose edge is repeated there."""
    rows = np.arange(window.row, window.row + window.height).clip(0, pan.shape[0] - 1)
    cols = np.arange(window.col, window.col + window.width).clip(0, pan.shape[1] - 1)
    return np.ascontiguousarray(pan[rows[:, None], cols])


def shrunk(
    shrinker: Shrinker, pan: np.ndarray, window: Window, units: SceneUnits = UNITS, nodata: int | None = None
) -> np.ndarray:
    buffers = {
        name: np.full(shape, np.nan, dtype)
        for name, (shape, dtype) in shrinker.arrays(window.height, window.width).items()
    }
    return shrinker.shrink(around(pan, window.grown(shrinker.margin)), window, units, nodata, buffers).copy()


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(1, 2047, size).astype(np.uint16)


@settings(deadline=None, max_examples=60)
@given(
    ratio=st.integers(2, 6),
    phase=st.sampled_from(PHASES),
    offset=st.tuples(st.floats(-9, 9), st.floats(0, 1)),
    size=st.tuples(st.integers(30, 90), st.integers(30, 140)),
    place=st.tuples(*[st.floats(0, 1)] * 4),
    nodata=st.sampled_from([None, 77]),
)
def test_a_window_shows_a_part_of_the_whole(
    ratio: int,
    phase: Phase,
    offset: tuple[float, float],
    size: tuple[int, int],
    place: tuple[float, ...],
    nodata: int | None,
) -> None:
    height, width = size
    pan = noise(height, width)
    pan[pan % 9 == 0] = 77
    resampler = Resampler(Grid(ratio, *offset), phase)
    shrinker = Shrinker(resampler, height, width)
    everything = Window(0, 0, height, width)
    whole, area = shrunk(shrinker, pan, everything, nodata=nodata), resampler.ms_window(everything)
    row, col = int(place[0] * (height - 2)), int(place[1] * (width - 2))
    part = Window(row, col, 2 + int(place[2] * (height - row - 2)), 2 + int(place[3] * (width - col - 2)))
    inner = resampler.ms_window(part)
    expected = whole[inner.row - area.row :, inner.col - area.col :][: inner.height, : inner.width]
    np.testing.assert_array_equal(shrunk(shrinker, pan, part, nodata=nodata), expected)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("short", [0, 2])
@pytest.mark.parametrize("ratio", [2, 3, 4, 5, 6])
def test_the_network_sees_what_it_was_trained_on(ratio: int, short: int, phase: Phase) -> None:
    """PAN and LMS in network units, to the edges of the scene, which may lie within an MS pixel."""
    short %= ratio
    height, width = 12 * ratio - short, 18 * ratio - short
    pan, ms = noise(height, width), noise(2, 12, 18)
    resampler, window = Resampler(Grid(ratio), phase), Window(0, 0, height, width)
    shrinker, area = Shrinker(resampler, height, width), resampler.ms_window(window)
    rows = np.arange(area.row, area.row + area.height).clip(0, 11)
    cols = np.arange(area.col, area.col + area.width).clip(0, 17)
    buffers = {name: np.empty(*array) for name, array in image_arrays(resampler, 2, height, width).items()}
    dn = (pan, np.ascontiguousarray(ms[:, rows[:, None], cols]))
    fill_images(buffers, dn, (None, None), UNITS, window, resampler, shrunk(shrinker, pan, window))
    lms = interp23tap(ms, ratio, phase, "edge")[:, :height, :width].astype(np.float32)
    pan_low = seen_by_ms(pan[None], ratio, phase)
    expected = in_units(UNITS, pan[None].astype(np.float32), lms, lms, pan_low)
    np.testing.assert_allclose(buffers["pan"], expected[0], atol=1e-5)
    np.testing.assert_allclose(buffers["lms"], expected[1], atol=3e-5)


@pytest.mark.parametrize("phase", PHASES)
def test_it_is_a_sum_over_the_gaussian_of_the_mtf(phase: Phase) -> None:
    pan, in_dn = noise(80, 80), replace(UNITS, pan_offset=0.0, pan_scale=1.0)
    origin, ratio = (1.5 if phase == "centred" else 2), 4
    sigma = ratio * np.sqrt(-2 * np.log(0.3)) / np.pi
    weights = np.exp(-(((np.arange(80) - (4 * 9 + origin)) / sigma) ** 2) / 2)
    weights /= weights.sum()
    resampler, window = Resampler(Grid(ratio), phase), Window(0, 0, 80, 80)
    area = resampler.ms_window(window)
    found = shrunk(Shrinker(resampler, 80, 80), pan, window, in_dn)[9 - area.row, 9 - area.col]
    assert found == pytest.approx(weights @ pan @ weights, rel=1e-5)


@pytest.mark.parametrize("ratio", [2, 4, 16])
def test_a_flat_pan_stays_flat(ratio: int) -> None:
    pan, window = np.full((96, 96), 900, np.uint16), Window(10, 20, 40, 30)
    shrinker = Shrinker(Resampler(Grid(ratio, 0.3, 0.8), "centred"), 96, 96)
    found = shrunk(shrinker, pan, window)
    np.testing.assert_allclose(found, (900 - UNITS.pan_offset) / UNITS.pan_scale, rtol=1e-6)


def test_nodata_is_an_average_pixel() -> None:
    pan, window = np.full((96, 96), 65535, np.uint16), Window(0, 0, 96, 96)
    shrinker = Shrinker(Resampler(Grid(4), "centred"), 96, 96)
    assert not shrunk(shrinker, pan, window, nodata=65535).any()
    pan[:, 48:] = 1000
    edge = shrunk(shrinker, pan, window, nodata=65535)
    assert 0 == edge.min() and edge.max() == pytest.approx((1000 - UNITS.pan_offset) / UNITS.pan_scale)


@pytest.mark.parametrize("offset", [0.0, 0.5, 1.25, -3.0, 61.0])
def test_the_margin_does_not_grow_with_the_offset(offset: float) -> None:
    margins = [Shrinker(Resampler(Grid(4, here, here), "centred"), 100, 100).margin for here in (0.0, offset)]
    assert abs(margins[1] - margins[0]) <= 1
    assert margins[0] == 43
