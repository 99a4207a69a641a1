"""Bands are found by what names them, and never by what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest
from awkward_rasters import ROLES, plain, smooth_pixels, stored

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.scene import open_scene
from bnnpan_runtime.scene.bands import BandName, choose_bands, role_of


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Red", "red"),
        ("B", "blue"),
        ("NIR1", "nir"),
        ("Near-Infrared", "nir"),
        ("Band 3: green (510-580 nm)", "green"),
        ("scene_2026_NIR", "nir"),
        ("Red Edge", None),
        ("rededge", None),
        ("NIR2", None),
        ("red and green", None),
        ("", None),
        (None, None),
    ],
)
def test_words_name_roles(text: str | None, role: str | None):
    assert role_of(text, ROLES) == role


def test_descriptions_pick_four_of_eight_bands():
    texts = ("Coastal", "Blue", "Green", "Yellow", "Red", "Red Edge", "NIR1", "NIR2")
    choice = choose_bands([BandName(text, "undefined") for text in texts], ROLES, None, "ms", "the bundle")
    assert choice.order == (1, 2, 4, 6) and choice.roles == ROLES


def test_the_band_without_a_colour_is_the_role_that_is_left():
    bands = [BandName(None, colour) for colour in ("red", "green", "blue", "undefined")]
    choice = choose_bands(bands, ROLES, None, "ms", "the bundle")
    assert choice.order == (2, 1, 0, 3) and "colours" in choice.how


def test_colours_that_gdal_gives_by_default_change_nothing_but_are_doubted():
    bands = [BandName(None, colour) for colour in ("red", "green", "blue", "alpha")]
    choice = choose_bands(bands, ROLES, None, "ms", "the bundle")
    assert choice.order == (0, 1, 2, 3) and choice.is_doubtful


def test_without_a_bundle_all_bands_are_taken_as_they_come():
    bands = [BandName("red", "red"), BandName("blue", "blue")]
    assert choose_bands(bands, None, None, "ms", "the bundle").order == (0, 1)
    said = choose_bands(bands, None, ("-", "swir"), "ms", "the bundle")
    assert (said.order, said.roles) == ((1,), ("swir",))


@pytest.mark.parametrize(
    ("profile", "wanted", "scale"), [({}, None, 2047), ({"nbits": 12}, None, 4095), ({"nbits": 12}, 11, 2047)]
)
def test_the_bit_depth_is_said_or_declared_or_the_bundles(
    depth_bundle: Bundle, tmp_path: Path, profile: dict[str, int], wanted: int | None, scale: float
):
    files = stored(**profile)(tmp_path, smooth_pixels())
    with open_scene(files.pan, files.ms, depth_bundle.manifest, wanted) as scene:
        assert scene.dn_scale == scale


@pytest.mark.parametrize(("dtype", "depth"), [("int16", 11), ("float32", 24)])
def test_other_types_have_a_depth_where_nothing_asks_for_one(tmp_path: Path, dtype: str, depth: int):
    files = plain(tmp_path, smooth_pixels().cast(dtype))
    with open_scene(files.pan, files.ms, None, 11 if dtype == "int16" else None) as scene:
        assert scene.dn_scale == 2**depth - 1
