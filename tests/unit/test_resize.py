from __future__ import annotations

import numpy as np
import pytest

from bnnpan.data.resize import resize
from bnnpan.data.wald import shrink_pan


def test_values_that_can_be_worked_out_by_hand() -> None:
    row = np.array([[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_allclose(resize(row, (1, 8), "bilinear")[0], [1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4])
    np.testing.assert_allclose(resize(row, (1, 2), "bilinear")[0], [1.625, 3.375])
    expected = [0.90625, 1.1796875, 1.7265625, 2.25, 2.75, 3.2734375, 3.8203125, 4.09375]
    np.testing.assert_allclose(resize(row, (1, 8))[0], expected)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_shrinking_a_pan_is_a_special_case(ratio: int) -> None:
    pan = np.random.default_rng(0).random((2, 12 * ratio, 9 * ratio))
    np.testing.assert_allclose(resize(pan, (12, 9)), shrink_pan(pan, ratio), atol=1e-14)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(7, 40), (30, 5), (13, 17)])
def test_constant_stays_constant_and_flips_commute(shape: tuple[int, int], kernel: str) -> None:
    image = np.random.default_rng(1).random((13, 17))
    np.testing.assert_allclose(resize(np.full((13, 17), 5.0), shape, kernel), 5.0)
    np.testing.assert_allclose(resize(image[::-1], shape, kernel), resize(image, shape, kernel)[::-1])
