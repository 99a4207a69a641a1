from __future__ import annotations

import numpy as np
import pytest

from bnnpan_runtime.units import mark_nodata, normalise, quantise, sum_of_measured


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


def test_signed_dn_are_rounded_within_their_range_and_floats_are_left_alone():
    values = np.array([[[-40000, -32768.4, -1.5, -0.5, 0.5, 32767.4, 4e4, np.nan]]], np.float32)
    product = np.empty(values.shape, np.int16)
    quantise(values.copy(), (0.0,), (1.0,), product)
    assert product.ravel().tolist() == [-32768, -32768, -2, 0, 0, 32767, 32767, -32768]
    floats = np.empty(values.shape, np.float32)
    quantise(values.copy(), (0.5,), (2.0,), floats)
    assert np.array_equal(floats, values * 2 + np.float32(0.5), equal_nan=True)


@pytest.mark.parametrize(
    ("dtype", "nodata", "moved"),
    [("uint8", 0, 1), ("uint16", 65535, 65534), ("int16", -32768, -32767), ("int16", 32767, 32766)],
)
def test_a_measured_value_makes_way_for_nodata(dtype: str, nodata: int, moved: int):
    product = np.array([[[nodata, 5, nodata]]], dtype)
    mark_nodata(product, np.array([[[True, True, False]]]), nodata)
    assert product.ravel().tolist() == [nodata, nodata, moved]


def test_floats_make_way_by_the_smallest_step():
    product = np.array([[[-9999, 3, -9999]]], np.float32)
    mark_nodata(product, np.array([[[True, True, False]]]), -9999.0)
    assert product[0, 0, :2].tolist() == [-9999, -9999] and -9999 < product[0, 0, 2] < -9998.99
    product = np.array([[[1, 2]]], np.float32)
    mark_nodata(product, np.array([[[True, False]]]), np.nan)
    assert np.isnan(product[0, 0, 0]) and product[0, 0, 1] == 2


def test_the_marker_of_floats_scales_without_a_warning(recwarn: pytest.WarningsRecorder):
    out = np.empty((1, 1, 2), np.float32)
    marker = float(np.finfo(np.float32).min)
    normalise(np.array([[[marker, 8]]], np.float32), (4.0,), (2**-10,), marker, out)
    assert out.ravel().tolist() == [0.0, 4096.0] and not recwarn.list


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_sums_leave_nodata_out(dtype: str):
    dn = np.array([[1, 7, 3], [7, 5, 0]], dtype)
    assert sum_of_measured(dn, 7) == 9 and sum_of_measured(dn, None) == 23
