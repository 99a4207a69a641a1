"""Scene units follow from the statistics alone, whatever order they are added in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnpan_runtime.scene_units import block_means, curvature, moments, products, scene_units


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_units_are_those_of_linear_algebra_in_double(planes: int, seed: int):
    random = np.random.default_rng(seed)
    samples = random.normal(random.uniform(50, 2000), random.uniform(1, 300), (1, 200))
    samples = samples + random.normal(0, random.uniform(0.5, 200), (planes, 200))
    bends = random.normal(0, 1, (planes, 30)) + random.normal(0, 3, 30)
    units = scene_units(*moments(samples), products(bends))
    np.testing.assert_allclose(units.ms_offset, samples[:-1].mean(axis=1))
    np.testing.assert_allclose(units.pan_scale, samples[-1].std())
    through_zero = [np.linalg.lstsq(bends[-1:].T, band, rcond=None)[0][0] for band in bends[:-1]]
    scales = samples[-1].std() / samples[:-1].std(axis=1)
    np.testing.assert_allclose(units.injected, through_zero * scales, rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_blocks_changes_no_bit(seed: int):
    random = np.random.default_rng(seed)
    samples = random.lognormal(5, 2, (5, 300))
    mixed = samples[:, random.permutation(300)]
    for left, right in zip(moments(samples), moments(mixed), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.bool_])
def test_a_block_mean_is_the_mean_of_its_pixels(dtype: type):
    image = np.random.default_rng(1).integers(0, 2, (2, 19, 26)).astype(dtype)
    expected = [image[:, r : r + 8, c : c + 8].mean(axis=(1, 2)) for r in (0, 8) for c in (0, 8, 16)]
    np.testing.assert_allclose(block_means(image), np.transpose(expected), rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_curvature_is_that_of_samples_measured_with_all_their_neighbours(seed: int):
    random = np.random.default_rng(seed)
    image, measured = random.normal(0, 100, (2, 9, 7)), random.random((9, 7)) < 0.9
    expected = [
        4 * image[:, r, c] - image[:, r - 1, c] - image[:, r + 1, c] - image[:, r, c - 1] - image[:, r, c + 1]
        for r in range(1, 8)
        for c in range(1, 6)
        if all(measured[r + i, c + j] for i, j in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)))
    ]
    found = curvature(image, measured)
    np.testing.assert_allclose(found, np.reshape(expected, (-1, 2)).T, atol=1e-9)


def test_a_pan_without_detail_gives_none_to_any_band():
    flat = products(np.array([[1.0, -2.0, 1.0], [0.0, 0.0, 0.0]]))
    assert scene_units(np.ones(2), np.eye(2), flat).injected == (0.0,)
