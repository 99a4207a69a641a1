from __future__ import annotations

import numpy as np

from bnnpan_runtime.units import normalise, quantise


def test_values_become_the_nearest_dn_half_to_even_within_the_dtype():
    values = np.array([-3, 0.4, 0.5, 0.6, 1.5, 2.5, 254.4, 254.6, 300], np.float32)
    product = np.empty(values.shape, np.uint8)
    quantise(values / np.float32(256), 256.0, product)
    assert product.tolist() == [0, 0, 0, 1, 2, 2, 254, 255, 255]


def test_network_units_are_dn_over_scale_and_nodata_is_zero():
    out = np.empty(3, np.float32)
    normalise(np.array([0, 2047, 65535], np.uint16), 2047.0, 65535, out)
    assert out.tolist() == [0.0, 1.0, 0.0]
