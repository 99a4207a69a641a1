from __future__ import annotations

import numpy as np
import pytest

from bnnpan.data.lms import interp23tap
from bnnpan.data.sensors import UNKNOWN, find_sensor
from bnnpan.data.wald import degrade, degrade_ms, degrade_ms_centred, mtf_filter, mtf_kernel, shrink_pan
from bnnpan_runtime.errors import ConfigError, SceneError

RATIOS = [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("WorldView-3", "WorldView-3"),
        ("wv3", "WorldView-3"),
        ("WorldView-2 (SpaceNet 6, Rotterdam)", "WorldView-2"),
        ("GeoEye1", "GeoEye-1"),
        ("GeoEye-1", "GeoEye-1"),
        ("QB", "QuickBird"),
        ("ikonos", "IKONOS"),
        ("Landsat-7 ETM+", "none"),
        ("GF2", "none"),
        ("not stated (0.5 m PAN, WorldView-2/-3 or GeoEye class)", "none"),
    ],
)
def test_sensor_is_found_in_any_spelling(spelling: str, name: str) -> None:
    assert find_sensor(spelling).name == name


def test_gains_fit_the_band_count() -> None:
    assert UNKNOWN.gains(6) == (0.30,) * 6
    assert find_sensor("wv2").gains(4) == (0.35,) * 4
    with pytest.raises(ConfigError, match="MTF gains for 4 bands"):
        find_sensor("qb").gains(8)


def test_mtf_kernel_sums_as_the_toolbox_says() -> None:
    sums = [mtf_kernel(gain, 4).sum() for gain in (0.22, 0.30, 0.365, 0.11, 0.17)]
    assert all(0.9977 <= total <= 0.9990 for total in sums)
    assert sums[1] == pytest.approx(0.99874, abs=1e-5)


def test_mtf_kernel_has_its_gain_at_the_nyquist_frequency() -> None:
    offsets = np.arange(41) - 20
    response = (mtf_kernel(0.3, 4).sum(axis=0) * np.cos(2 * np.pi * offsets / 8)).sum()
    assert response == pytest.approx(0.3, abs=0.02)  # of 41 frequencies none falls on 1/8


def test_toolbox_decimation_takes_the_sample_at_half_the_ratio() -> None:
    ms = np.random.default_rng(0).random((2, 24, 32))
    for ratio in (2, 4, 8):
        expected = mtf_filter(ms, [0.3, 0.2], ratio)[:, ratio // 2 :: ratio, ratio // 2 :: ratio]
        np.testing.assert_array_equal(degrade_ms(ms, [0.3, 0.2], ratio), expected)


@pytest.mark.parametrize("ratio", RATIOS)
def test_centred_degradation_and_shrinking_keep_a_ramp_at_true_pixel_centres(ratio: int) -> None:
    rows, columns = np.meshgrid(np.arange(16 * ratio), np.arange(18 * ratio), indexing="ij")
    ramp = (5.0 * rows + 2.0 * columns)[None]
    centres = [ratio * np.arange(n) + (ratio - 1) / 2 for n in (16, 18)]
    expected = 5 * centres[0][:, None] + 2 * centres[1]
    inside = np.s_[5:-5, 5:-5]
    for reduced in (degrade_ms_centred(ramp, [0.3], ratio), shrink_pan(ramp, ratio)):
        np.testing.assert_allclose(reduced[0][inside], expected[inside], rtol=1e-12)


@pytest.mark.parametrize("ratio", RATIOS)
def test_constant_survives_centred_degradation(ratio: int) -> None:
    flat = np.full((1, 10 * ratio, 12 * ratio), 700.0)
    np.testing.assert_allclose(degrade_ms_centred(flat, [0.25], ratio), 700.0, rtol=1e-12)
    np.testing.assert_allclose(shrink_pan(flat, ratio), 700.0, rtol=1e-12)


@pytest.mark.parametrize("ratio", RATIOS)
def test_centred_degradation_has_its_gain_at_the_nyquist_frequency(ratio: int) -> None:
    # a wave at the low-resolution Nyquist frequency, with crests on every other low-resolution pixel centre
    position = np.arange(40 * ratio) - (ratio - 1) / 2
    wave = np.tile(np.cos(np.pi * position / ratio), (8 * ratio, 1))[None]
    reduced = degrade_ms_centred(wave, [0.3], ratio)[0, 4, 10:-10]
    np.testing.assert_allclose(reduced, 0.3 * (-1.0) ** np.arange(len(reduced)), atol=2e-3)


@pytest.mark.parametrize("ratio", RATIOS)
def test_flips_commute_with_centred_degradation(ratio: int) -> None:
    image = np.random.default_rng(1).random((2, 9 * ratio, 11 * ratio))
    for reduce in (lambda x: degrade_ms_centred(x, [0.3, 0.22], ratio), lambda x: shrink_pan(x, ratio)):
        for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
            np.testing.assert_allclose(reduce(image[flip]), reduce(image)[flip], atol=1e-12)


@pytest.mark.parametrize("ratio", [2, 4])
def test_degraded_and_interpolated_image_is_not_shifted(ratio: int) -> None:
    rows, columns = np.meshgrid(np.arange(40 * ratio), np.arange(40 * ratio), indexing="ij")
    smooth = np.sin(rows / (6 * ratio)) * np.cos(columns / (5 * ratio))
    ms = degrade_ms_centred(smooth[None], [0.3], ratio)
    lms = interp23tap(ms, ratio, "centred", "edge")[0]
    inside = np.s_[12 * ratio : -12 * ratio, 12 * ratio : -12 * ratio]
    error = {}
    for shift in (-1, 0, 1):
        moved = np.roll(lms, shift, axis=(0, 1))
        error[shift] = np.abs(moved - smooth)[inside].max()
    assert error[0] < min(error[-1], error[1]) / 2


def test_pair_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SceneError, match="is not 4 times"):
        degrade(np.zeros((1, 64, 60)), np.zeros((4, 16, 16)), "IKONOS")
    with pytest.raises(SceneError, match="multiple of the ratio"):
        degrade(np.zeros((1, 72, 72)), np.zeros((4, 18, 18)), "IKONOS")
