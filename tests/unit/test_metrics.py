from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnnpan.metrics import reduced_resolution
from bnnpan.metrics.q2n import q2n
from bnnpan.metrics.similarity import average_q, ssim
from bnnpan_runtime.errors import SceneError


def scene(bands: int = 4, height: int = 90, width: int = 101, seed: int = 0) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.round(random.uniform(100, 1500, (bands, height, width)))


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_equal_images_are_perfect(bands: int) -> None:
    gt = scene(bands)
    found = reduced_resolution(gt, gt)
    assert found["SAM"] == pytest.approx(0, abs=1e-5)
    assert found["ERGAS"] == 0
    assert found["Q2n"] == pytest.approx(1, abs=1e-12)
    assert found["SCC"] == pytest.approx(1, abs=1e-12)
    assert found["PSNR"] == np.inf
    assert found["SSIM"] == found["Q_avg"] == pytest.approx(1, abs=1e-12)


def test_values_that_can_be_worked_out_by_hand() -> None:
    gt = np.full((2, 80, 80), 100.0)
    fused = np.stack([np.full((80, 80), 110.0), np.full((80, 80), 90.0)])
    found = reduced_resolution(gt, fused, ratio=4, bit_depth=11)
    assert found["ERGAS"] == pytest.approx(25 * 0.1)
    assert found["PSNR"] == pytest.approx(20 * np.log10(2047 / 10))
    assert found["SAM"] == pytest.approx(np.degrees(np.arctan(1.1 / 0.9) - np.pi / 4))
    assert found["Q_avg"] == pytest.approx(np.mean([2 * 100 * q / (100**2 + q**2) for q in (110, 90)]))


@settings(max_examples=8, deadline=None)
@given(st.floats(0.2, 5.0), st.integers(0, 5))
def test_brightness_does_not_change_angle_or_structure(factor: float, seed: int) -> None:
    gt, fused = scene(seed=seed), scene(seed=seed + 100)
    one, other = reduced_resolution(gt, fused), reduced_resolution(gt, fused * factor)
    assert other["SAM"] == pytest.approx(one["SAM"])
    assert other["SCC"] == pytest.approx(one["SCC"])


def test_invalid_pixels_and_borders_do_not_count() -> None:
    gt, fused = scene(height=200, width=200), scene(height=200, width=200, seed=1)
    valid = np.ones((200, 200), bool)
    valid[:60] = False
    spoilt = fused.copy()
    spoilt[:, :59] = 1e6  # the Sobel filter of SCC reaches one pixel across the mask
    spoilt[:, -21:] = 1e6
    assert reduced_resolution(gt, spoilt, valid=valid) == reduced_resolution(gt, fused, valid=valid)


def test_q2n_of_two_bands_is_the_q_of_complex_numbers() -> None:
    gt, fused = scene(2, 32, 32), scene(2, 32, 32, seed=9)
    mean, deviation = gt.mean(axis=(1, 2)), gt.std(axis=(1, 2), ddof=1)
    one, two = (
        ((x - mean[:, None, None]) / deviation[:, None, None] + 1).reshape(2, -1) for x in (gt, fused)
    )
    one, two = one[0] + 1j * one[1], two[0] + 1j * two[1]
    covariance = abs(np.cov(one, two)[0, 1])
    bias = 2 * abs(one.mean() * two.mean()) / (abs(one.mean()) ** 2 + abs(two.mean()) ** 2)
    expected = covariance * bias * 2 / (one.var(ddof=1) + two.var(ddof=1))
    assert q2n(gt, fused) == pytest.approx(expected, rel=1e-12)


def test_q2n_rounds_like_uint16_and_normalises_by_the_reference() -> None:
    gt, fused = scene(), scene(seed=1)
    assert q2n(gt - 0.5, fused + 0.49) == q2n(gt, fused)  # halves go up
    low = np.where(fused < 300, -7.0, fused)
    assert q2n(gt, low) == q2n(gt, np.maximum(low, 0))
    assert q2n(gt, gt / 2) != pytest.approx(q2n(gt / 2, gt), rel=1e-3)


def test_q2n_ignores_black_blocks_alike_and_punishes_others() -> None:
    gt = scene(4, 64, 64)
    gt[:, :32] = 0
    assert q2n(gt, gt) == pytest.approx(1)
    fused = gt.copy()
    fused[:, :32] = 50
    assert q2n(gt, fused) < 0.6


def test_sliding_measures_equal_their_definition() -> None:
    gt, fused = scene(2, 34, 35), scene(2, 34, 35, seed=2)
    windows = [np.s_[row : row + 32, column : column + 32] for row in range(3) for column in range(4)]
    quality = []
    for one, two in zip(gt, fused, strict=True):
        for window in windows:
            covariance = np.cov(one[window].ravel(), two[window].ravel())
            means = one[window].mean(), two[window].mean()
            quality.append(
                4 * covariance[0, 1] * means[0] * means[1] / covariance.trace() / np.square(means).sum()
            )
    assert average_q(gt, fused) == pytest.approx(np.mean(quality), rel=1e-10)


def test_ssim_of_one_window_can_be_worked_out_by_hand() -> None:
    gt, fused = scene(1, 11, 11), scene(1, 11, 11, seed=2)
    offsets = np.arange(11) - 5
    weights = np.exp(-np.add.outer(offsets**2, offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    means = [(weights * image[0]).sum() for image in (gt, fused)]
    centred = [image[0] - mean for image, mean in zip((gt, fused), means, strict=True)]
    variances = [(weights * image**2).sum() for image in centred]
    covariance = (weights * centred[0] * centred[1]).sum()
    c1, c2 = (0.01 * 2047) ** 2, (0.03 * 2047) ** 2
    expected = (2 * means[0] * means[1] + c1) * (2 * covariance + c2)
    expected /= (np.square(means).sum() + c1) * (sum(variances) + c2)
    assert ssim(gt, fused, 2047.0) == pytest.approx(expected, rel=1e-10)


def test_symmetric_measures_do_not_care_which_image_is_the_reference() -> None:
    gt, fused = scene(), scene(seed=5)
    one, other = reduced_resolution(gt, fused), reduced_resolution(fused, gt)
    for metric in ("SAM", "SCC", "PSNR", "SSIM", "Q_avg"):
        assert one[metric] == pytest.approx(other[metric], rel=1e-12)
    assert one["ERGAS"] != pytest.approx(other["ERGAS"], rel=1e-4)


def test_windows_larger_than_the_scene_have_no_value() -> None:
    found = reduced_resolution(scene(height=70), scene(height=70, seed=1))
    assert np.isnan(found["Q_avg"])
    assert np.isfinite(found["SSIM"])
    assert np.isfinite(found["Q2n"])


def test_q2n_without_a_whole_valid_block_is_not_a_number() -> None:
    gt = scene()
    valid = np.ones(gt.shape[1:], bool)
    valid[::8] = False
    assert np.isnan(reduced_resolution(gt, gt, valid=valid)["Q2n"])


def test_misuse_is_refused_in_one_line() -> None:
    with pytest.raises(SceneError, match="differ"):
        reduced_resolution(scene(4), scene(3))
    with pytest.raises(SceneError, match="larger scene"):
        reduced_resolution(scene(height=43), scene(height=43))
    with pytest.raises(SceneError, match="a value per pixel"):
        reduced_resolution(scene(), scene(), valid=np.ones((5, 5), bool))
