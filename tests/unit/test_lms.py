from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from bnnpan.data.lms import REACH, interp23tap, interpolation_taps, sample_position

PHASES = ["toolbox", "centred"]
RATIOS = [2, 3, 4, 5, 6, 8]
ODD_TAPS = [0.305334091185, -0.072698593239, 0.021809577942, -0.005192756653, 0.000807762146, -0.000060081482]
TOOLBOX_TAPS = np.zeros(12)
TOOLBOX_TAPS[0] = 1.0
TOOLBOX_TAPS[1::2] = 2 * np.array(ODD_TAPS)


def toolbox_doubling(image: NDArray[np.float64], phase: int) -> NDArray[np.float64]:
    """One step of `interp23tap.m`: zeros in between, 23 taps, circular border."""
    taps = np.concatenate([TOOLBOX_TAPS[:0:-1], TOOLBOX_TAPS])
    spread = np.zeros((image.shape[0], 2 * image.shape[1], 2 * image.shape[2]))
    spread[:, phase::2, phase::2] = image
    return correlate1d(correlate1d(spread, taps, axis=1, mode="wrap"), taps, axis=2, mode="wrap")


@pytest.mark.parametrize("doublings", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, 30, 17), (1, 9, 24)])
def test_toolbox_phase_equals_the_cascade_of_doublings(doublings: int, shape: tuple[int, int, int]) -> None:
    ms = np.random.default_rng(0).random(shape)
    expected = ms
    for step in range(doublings):
        expected = toolbox_doubling(expected, 1 if step == 0 else 0)
    np.testing.assert_allclose(interp23tap(ms, 2**doublings), expected, rtol=0, atol=1e-14)


def test_phi_is_one_at_zero_and_zero_at_other_integers() -> None:
    taps = interpolation_taps(0)
    assert taps[REACH] == 1
    assert np.count_nonzero(taps) == 1


@given(st.floats(-0.999, 0.999))
def test_polyphase_weights_sum_to_one_and_mirror(offset: float) -> None:
    taps = interpolation_taps(offset)
    assert abs(taps.sum() - 1) < 1e-8
    np.testing.assert_allclose(taps, interpolation_taps(-offset)[::-1], atol=1e-12)


def test_offset_beyond_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="one MS pixel"):
        interpolation_taps(1.0)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("boundary", ["circular", "edge"])
def test_constant_stays_constant(ratio: int, phase: str, boundary: str) -> None:
    lms = interp23tap(np.full((2, 5, 7), 1234.0), ratio, phase, boundary)
    assert lms.shape == (2, 5 * ratio, 7 * ratio)
    np.testing.assert_allclose(lms, 1234.0, rtol=1e-8)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("phase", PHASES)
def test_ramp_is_reproduced_where_its_samples_sit(ratio: int, phase: str) -> None:
    rows, columns = np.meshgrid(np.arange(40.0), np.arange(30.0), indexing="ij")
    lms = interp23tap((3 * rows - 2 * columns)[None], ratio, phase, "edge")
    positions = [(np.arange(n * ratio) - sample_position(ratio, phase)) / ratio for n in (40, 30)]
    expected = 3 * positions[0][:, None] - 2 * positions[1]
    inside = np.s_[REACH * ratio : -REACH * ratio, REACH * ratio : -REACH * ratio]
    np.testing.assert_allclose(lms[0][inside], expected[inside], atol=1e-4)


def test_samples_keep_their_value_at_toolbox_positions() -> None:
    ms = np.random.default_rng(1).random((2, 12, 13))
    np.testing.assert_allclose(interp23tap(ms, 4)[:, 2::4, 2::4], ms, atol=1e-15)


@pytest.mark.parametrize("ratio", RATIOS)
def test_flips_commute_with_centred_interpolation(ratio: int) -> None:
    ms = np.random.default_rng(2).random((2, 14, 16))
    lms = interp23tap(ms, ratio, "centred", "edge")
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        np.testing.assert_allclose(interp23tap(ms[flip], ratio, "centred", "edge"), lms[flip], atol=1e-12)
    transposed = interp23tap(ms.transpose(0, 2, 1), ratio, "centred", "edge")
    np.testing.assert_allclose(transposed, lms.transpose(0, 2, 1), atol=1e-12)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([2, 3, 4]), st.sampled_from(PHASES))
def test_images_smaller_than_the_kernel_work(height: int, width: int, ratio: int, phase: str) -> None:
    ms = np.arange(height * width, dtype=float).reshape(1, height, width)
    for boundary in ("circular", "edge"):
        assert np.isfinite(interp23tap(ms, ratio, phase, boundary)).all()
