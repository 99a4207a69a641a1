"""Scene units follow from the statistics alone, whatever order they are added in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnpan_runtime.scene_units import block_means, moments, scene_units


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_units_are_those_of_linear_algebra_in_double(planes: int, seed: int):
    random = np.random.default_rng(seed)
    samples = random.normal(random.uniform(50, 2000), random.uniform(1, 300), (1, 200))
    samples = samples + random.normal(0, random.uniform(0.5, 200), (planes, 200))
    units = scene_units(*moments(samples))
    correlation = np.corrcoef(samples)
    np.testing.assert_allclose(units.ms_offset, samples[:-1].mean(axis=1))
    np.testing.assert_allclose(units.pan_scale, samples[-1].std())
    np.testing.assert_allclose(units.injected, correlation[:-1, -1], atol=1e-9)


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
