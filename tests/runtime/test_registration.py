"""Shifts between PAN and MS are found to a tenth of a PAN pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requirements import require_package
from shifted_scenes import CLOSE, ArrayScene, assert_found, found, synthetic

from bnnpan_runtime.grid import Grid
from bnnpan_runtime.registration import find_shift, shifted
from bnnpan_runtime.registration.peak import find_peak
from bnnpan_runtime.registration.spectra import Frequencies, Plane, spectra

SHIFTS = st.tuples(*[st.floats(-6, 6, allow_nan=False)] * 2)


@pytest.fixture(scope="module")
def scene() -> ArrayScene:
    return synthetic()


@settings(max_examples=6, deadline=None)
@given(SHIFTS)
def test_any_shift_is_found_to_a_tenth_of_a_pan_pixel(scene: ArrayScene, shift: tuple[float, float]) -> None:
    assert_found(found(scene, shift), shift)


@pytest.mark.parametrize(("ratio", "bands", "bit_depth"), [(2, 4, 8), (3, 3, 11), (4, 8, 11), (5, 4, 11)])
def test_a_shift_is_found_for_every_ratio(ratio: int, bands: int, bit_depth: int) -> None:
    scene = synthetic(ratio, bands, bit_depth, side=128 * ratio)
    for shift in ((0.0, 0.0), (0.6, -1.2)):
        assert_found(found(scene, shift, ratio), shift)


@pytest.mark.parametrize("rows", [0.3, -1.7])
def test_pixels_that_are_moved_are_found_to_have_moved(scene: ArrayScene, rows: float) -> None:
    """The MS itself is moved here, through its Fourier transform, which no grid knows of."""
    spectrum = np.fft.fft(scene.ms.astype(float), axis=1)
    angle = -2j * np.pi * np.fft.fftfreq(scene.ms.shape[1]) * rows / 4
    moved = np.fft.ifft(spectrum * np.exp(angle)[:, None], axis=1).real
    result = found(replace(scene, ms=moved.clip(0, 2047).astype(np.uint16)), (0, 0))
    assert_found(result, (rows, 0.0))


def test_the_sign_is_that_of_whole_pixels(scene: ArrayScene) -> None:
    """Without its first three rows and two columns, PAN shows things higher and further left than MS."""
    cut = replace(scene, pan=np.ascontiguousarray(scene.pan[3:, 2:]))
    assert_found(found(cut, (0, 0)), (3.0, 2.0))


def test_a_large_shift_is_not_pulled_towards_zero(scene: ArrayScene) -> None:
    near, far = found(scene, (0.0, 0.0)), found(scene, (8.0, 8.0))
    assert near.row is not None and near.col is not None
    assert_found(far, (8 + near.row, 8 + near.col), close=0.03)


def test_one_window_agrees_with_an_independent_oracle(scene: ArrayScene) -> None:
    require_package("skimage")
    from skimage.registration import phase_cross_correlation

    pan = scene.pan[4:260, 8:264].astype(float)
    ms = scene.ms[:, :64, :64].astype(float)
    taper = np.outer(np.hanning(66)[1:-1], np.hanning(66)[1:-1])
    coarse = pan.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    low, mean = (taper * (image - image.mean()) for image in (coarse, ms.mean(axis=0)))
    expected = phase_cross_correlation(mean, low, upsample_factor=100, normalization=None)[0]

    frequencies = Frequencies.of(64)
    planes = [Plane(image, image.mean(), None) for image in (pan, *ms)]
    peak = find_peak(spectra(planes[0], planes[1:], frequencies, (1.5, 1.5), (0, 0)), frequencies)
    assert peak is not None
    # In MS pixels; what block means alias leaves the oracle a twentieth from the truth.
    assert (peak.row, peak.col) == pytest.approx(tuple(expected), abs=0.1)
    assert (peak.row, peak.col) == pytest.approx((1.0, 2.0), abs=0.03)


def test_a_well_aligned_scene_is_left_alone(scene: ArrayScene) -> None:
    grid = Grid(4)
    result = find_shift(scene, grid, "centred")
    assert result.outcome == "negligible"
    assert shifted(grid, result) is grid


def test_an_applied_shift_puts_the_grid_right_but_for_a_few_hundredths(scene: ArrayScene) -> None:
    wrong = Grid(4, -1.3, 0.7)
    result = find_shift(scene, wrong, "centred")
    assert result.outcome == "applied"
    right = shifted(wrong, result)
    assert (right.row_offset, right.col_offset) == pytest.approx((0, 0), abs=CLOSE)
    again = find_shift(scene, right, "centred")
    assert again.outcome == "negligible"


def test_an_applied_shift_is_whole_steps(scene: ArrayScene) -> None:
    result = found(scene, (0.7, -0.4))
    for value in (result.applied_row, result.applied_col):
        assert value * 64 == round(value * 64) != 0


def test_the_same_scene_gives_the_same_shift(scene: ArrayScene) -> None:
    assert found(scene, (0.5, 0.5)) == found(scene, (0.5, 0.5))
