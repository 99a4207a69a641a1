from __future__ import annotations

import numpy as np

from bnnpan_runtime.units import normalise, quantise


def test_values_become_the_nearest_dn_half_to_even_within_the_dtype():
    values = np.array([[[-3, 0.4, 0.5, 0.6, 1.5, 2.5, 254.4, 254.6, 300, np.nan]]], np.float32)
    product = np.empty(values.shape, np.uint8)
    quantise(values / np.float32(256), (0.0,), (256.0,), product)
    assert product.ravel().tolist() == [0, 0, 0, 1, 2, 2, 254, 255, 255, 0]


def test_every_plane_has_an_offset_and_a_scale_both_ways():
    dn = np.array([[[100, 300]], [[50, 10]]], np.uint16)
    out = np.empty(dn.shape, np.float32)
    normalise(dn, (100.0, 30.0), (200.0, 10.0), None, out)
    assert out.tolist() == [[[0.0, 1.0]], [[2.0, -2.0]]]
    back = np.empty_like(dn)
    quantise(out, (100.0, 30.0), (200.0, 10.0), back)
    assert np.array_equal(back, dn)


def test_nodata_becomes_zero_whatever_the_offset():
    out = np.empty((1, 1, 3), np.float32)
    normalise(np.array([[[0, 2047, 65535]]], np.uint16), (0.0,), (2047.0,), 65535, out)
    assert out.ravel().tolist() == [0.0, 1.0, 0.0]
    normalise(np.array([[[0, 2047, 65535]]], np.uint16), (2047.0,), (1.0,), 65535, out)
    assert out.ravel().tolist() == [-2047.0, 0.0, 0.0]
