"""A raw scene is opened whole or refused with one clear line."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy
from rasterio.transform import Affine
from raw_scenes import SceneWriter, read_raster, write_raster

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid, grid_from_shapes, grid_from_transforms
from bnnpan_runtime.scene import open_scene

WHOLE = Window(0, 0, 600, 600)


def test_a_bit_depth_in_a_header_that_is_no_number_is_passed_over(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene()
    paths = [path.with_suffix(".vrt") for path in (raw.pan, raw.ms)]
    for path in paths:
        copy(path.with_suffix(".tif"), path, driver="VRT")
        said = r'\g<0><Metadata domain="IMAGE_STRUCTURE"><MDI key="NBITS">eleven</MDI></Metadata>'
        path.write_text(re.sub("<VRTRasterBand[^>]*>", said, path.read_text()))
    with open_scene(*paths, bundle.manifest) as scene:
        assert scene.pan.first.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "eleven"
        assert scene.dn_scale == bundle.manifest.dn_scale


def test_a_header_offset_that_is_no_number_is_passed_over(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
):
    raw, pan = write_scene(), tmp_path / "pan.img"
    copy(raw.pan, pan, driver="ENVI")
    pan.with_suffix(".img.aux.xml").unlink()
    header = pan.with_suffix(".hdr")
    header.write_text(header.read_text().replace("header offset = 0", "header offset = none"))
    with open_scene(pan, raw.ms, bundle.manifest) as scene:
        assert scene.pan.first.tags(ns="ENVI")["header_offset"] == "none"


def test_the_product_inherits_grid_of_pan_and_pixels_of_ms(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene(150, 130, nodata=0)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        form = scene.product_format
        assert (form.height, form.width, form.bands, form.dtype, form.nodata) == (150, 130, 4, "uint16", 0)
        assert form.transform == Affine(0.5, 0, 600000, 0, -0.5, 5000000)
        assert form.crs.to_epsg() == 32631


@pytest.mark.parametrize("offset", [(0, 0), (1.5, 0.5), (-1.5, 2), (40, 21.25)])
def test_georeferencing_tells_where_pan_begins_inside_ms(
    write_scene: SceneWriter, bundle: Bundle, offset: tuple[float, float]
):
    raw = write_scene(100, 100, ms_shape=(40, 40), offset=offset)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        assert scene.grid == Grid(4, *offset)


def test_georeferencing_of_one_side_alone_is_not_used_and_said(
    write_scene: SceneWriter, bundle: Bundle, caplog: pytest.LogCaptureFixture
):
    raw = write_scene(104, 96, ms_shape=(30, 30), offset=(4, 8))
    write_raster(raw.ms, read_raster(raw.ms)[:, :26, :24])
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        assert scene.grid == Grid(4)
    assert "ms.tif has no georeferencing" in caplog.text


def test_without_georeferencing_the_corners_coincide(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene(101, 99, georeferenced=False)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        assert scene.grid == Grid(4)
        assert scene.product_format.transform is None


def test_windows_beyond_a_raster_repeat_its_edge(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene(101, 99)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        assert scene.padded == (102, 100)
        pan = np.zeros((102, 100), np.uint16)
        scene.read_pan(Window(0, 0, 102, 100), pan)
        assert np.array_equal(pan[101], pan[100]) and np.array_equal(pan[:, 99], pan[:, 98])
        ms = np.zeros((4, 50, 50), np.uint16)
        scene.read_ms(Window(-10, -12, 50, 50), ms)
        inside = ms[:, 10:36, 12:37]
        expected = np.pad(inside, ((0, 0), (10, 14), (12, 13)), mode="edge")
        assert np.array_equal(ms, expected)


@pytest.mark.parametrize(
    ("dtype", "wanted", "scale"), [("uint8", None, 255), ("uint16", None, 2047), ("uint16", 12, 4095)]
)
def test_the_dn_scale_follows_dtype_bundle_and_request(
    write_scene: SceneWriter, bundle: Bundle, dtype: str, wanted: int | None, scale: float
):
    raw = write_scene(dtype=dtype)
    with open_scene(raw.pan, raw.ms, bundle.manifest, wanted) as scene:
        assert scene.dn_scale == scale


class TestRefusals:
    """Each message names the file or the figure that is wrong."""

    def refused(self, bundle: Bundle, pan: Path, ms: Path, *words: str, bit_depth: int | None = None) -> None:
        with pytest.raises(SceneError) as caught, open_scene(pan, ms, bundle.manifest, bit_depth):
            pass
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message

    def test_a_missing_file(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        self.refused(bundle, tmp_path / "no.tif", raw.ms, "PAN", "no.tif", "does not exist")
        self.refused(bundle, raw.pan, tmp_path / "no.tif", "MS", "no.tif", "does not exist")

    def test_a_file_that_is_no_raster(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        (tmp_path / "notes.tif").write_text("no raster")
        self.refused(bundle, tmp_path / "notes.tif", raw.ms, "notes.tif", "not a raster")

    def test_swapped_inputs(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene()
        self.refused(bundle, raw.ms, raw.pan, "one band", "swapped")

    def test_a_wrong_band_count(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(bands=3)
        self.refused(bundle, raw.pan, raw.ms, "3 bands", "takes 4")

    @pytest.mark.parametrize("dtype", ["int32", "uint32", "float64", "complex64"])
    def test_pixels_that_are_no_dn(self, write_scene: SceneWriter, bundle: Bundle, dtype: str):
        raw = write_scene(dtype=dtype)
        self.refused(bundle, raw.pan, raw.ms, dtype, "uint16")

    @pytest.mark.parametrize("dtype", ["int32", "float64", "complex64", "complex_int16"])
    def test_pixels_that_are_no_dn_and_declare_a_nodata(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, dtype: str
    ):
        raw, path = write_scene(georeferenced=False), tmp_path / "odd.tif"
        sizes = {"count": 1, "height": 200, "width": 180}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            rasterio.open(path, "w", driver="GTiff", dtype=dtype, nodata=-9999, **sizes).close()
        self.refused(bundle, path, raw.ms, dtype, "uint16")

    def test_different_dtypes(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene(georeferenced=False)
        write_raster(tmp_path / "byte.tif", np.ones((1, 200, 180), np.uint8))
        self.refused(bundle, tmp_path / "byte.tif", raw.ms, "uint8", "uint16")

    def test_different_coordinate_systems(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        transform = Affine(0.5, 0, 600000, 0, -0.5, 5000000)
        write_raster(
            tmp_path / "utm32.tif", np.ones((1, 200, 180), np.uint16), crs="EPSG:32632", transform=transform
        )
        self.refused(bundle, tmp_path / "utm32.tif", raw.ms, "coordinate system")

    def test_another_ratio_than_the_bundle_is_made_for(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(200, 200, ms_shape=(100, 100), georeferenced=False)
        self.refused(bundle, raw.pan, raw.ms, "ratio of 2", "for 4")

    def test_rasters_of_different_places(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(200, 200, ms_shape=(50, 50), offset=(0, -800))
        self.refused(bundle, raw.pan, raw.ms, "do not overlap")

    def test_a_scene_too_small_to_calibrate(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(63, 200)
        self.refused(bundle, raw.pan, raw.ms, "200 x 63", "64 x 64")

    def test_a_bit_depth_the_dtype_cannot_have(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(dtype="uint8")
        self.refused(bundle, raw.pan, raw.ms, "11", "uint8", bit_depth=11)


class TestGrids:
    def test_less_than_one_ms_pixel_may_be_missing(self):
        assert Grid(4, -3.9, 0).covered((100, 100), (25, 25)) == Window(0, 0, 100, 100)
        assert Grid(4, -4, 0).covered((100, 100), (26, 25)) == Window(4, 0, 96, 100)

    def test_pixel_sizes_rounded_in_the_file_still_give_a_whole_ratio(self):
        pan, ms = Affine(0.499993, 0, 0, 0, -0.499993, 0), Affine(2.000097, 0, 0, 0, -2.000097, 0)
        assert grid_from_transforms(pan, ms, WHOLE) == Grid(4)

    @pytest.mark.parametrize("size", [3.5, 1.95])
    def test_a_ratio_that_is_not_whole_is_refused(self, size: float):
        with pytest.raises(SceneError, match="ratio"):
            grid_from_transforms(Affine.scale(1, -1), Affine.scale(size, -size), WHOLE)

    def test_different_ratios_per_axis_are_refused(self):
        with pytest.raises(SceneError, match="both directions"):
            grid_from_transforms(Affine.scale(1, -1), Affine.scale(4, -2), WHOLE)
        with pytest.raises(SceneError, match="both directions"):
            grid_from_shapes((400, 400), (100, 200))

    def test_rotation_of_one_against_the_other_is_refused(self):
        with pytest.raises(SceneError, match="rotated"):
            grid_from_transforms(Affine.rotation(1), Affine.scale(4), WHOLE)

    def test_rasters_rotated_together_fit(self):
        turned = Affine.rotation(30) @ Affine.scale(0.5, -0.5)
        assert grid_from_transforms(turned, turned @ Affine.scale(4), WHOLE) == Grid(4)

    def test_sizes_without_georeferencing_may_be_rounded_to_whole_ms_pixels(self):
        assert grid_from_shapes((1197, 1499), (599, 750)) == Grid(2)
        assert grid_from_shapes((375, 558), (187, 279)) == Grid(2)
        with pytest.raises(SceneError, match="whole ratio"):
            grid_from_shapes((1000, 1000), (260, 250))


def test_a_truncated_file_is_named_when_it_is_read(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene(300, 300, compress="deflate")
    raw.pan.write_bytes(raw.pan.read_bytes()[:-5000])
    pixels = np.zeros((300, 300), np.uint16)
    with (
        pytest.raises(SceneError, match=r"pan\.tif.*damaged"),
        open_scene(raw.pan, raw.ms, bundle.manifest) as scene,
    ):
        scene.read_pan(Window(0, 0, 300, 300), pixels)


def test_a_bundle_of_another_patch_size_moves_the_limit(write_scene: SceneWriter, bundle: Bundle):
    raw = write_scene(63, 200)
    manifest = replace(bundle.manifest, calibration=replace(bundle.manifest.calibration, patch=32))
    with open_scene(raw.pan, raw.ms, manifest) as scene:
        assert scene.height == 63
