"""PAN and MS grids as they come: the product lies where PAN lies, and is that of files cut to fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from awkward_rasters import Files, Pixels, plain, smooth_pixels, write_file
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.scene import SceneOptions, open_pair, open_scene

UTM = Affine(0.5, 0, 600000, 0, -0.5, 5000000)
TURNED = Affine.translation(600000, 5000000) @ Affine.rotation(23) @ Affine.scale(0.5, -0.5)
SHEARED = TURNED @ Affine.shear(7)
SOUTH_UP = Affine(0.5, 0, 600000, 0, 0.5, 5000000)
DEGREES = Affine(4.5e-6, 0, 11.123456789, 0, -4.5e-6, 48.987654321)


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return smooth_pixels()


def cut(pixels: Pixels, area: Window) -> Pixels:
    """PAN cut to an area; MS stays whole."""
    rows, cols = slice(area.row, area.row + area.height), slice(area.col, area.col + area.width)
    moved = pixels.transform and pixels.transform @ Affine.translation(area.col, area.row)
    offset = (pixels.offset[0] + area.row, pixels.offset[1] + area.col)
    return replace(pixels, pan=pixels.pan[rows, cols], transform=moved, offset=offset)


def product(files: Files, bundle: Bundle | None, out: Path, **options: object) -> np.ndarray:
    chosen = {"backend": "native" if bundle else "classical", "register": "off", **options}
    fuse(
        files.pan, files.ms, bundle, out, memory="4GiB", scene_options=files.options, overwrite=True, **chosen
    )
    with rasterio.open(out) as raster:
        return raster.read()


def opened(files: Files) -> tuple[Grid, Window, Affine | None]:
    with open_pair(files.pan, files.ms, files.options) as scene:
        return scene.grid, scene.area, scene.product_format.transform


@pytest.mark.parametrize("transform", [UTM, TURNED, SHEARED, SOUTH_UP, DEGREES])
@pytest.mark.parametrize("offset", [(0, 0), (1.5, -0.25), (-3.5, 2.125), (0.3, 0.7)])
def test_grids_lie_on_each_other_whatever_the_geotransform(
    pixels: Pixels, tmp_path: Path, transform: Affine, offset: tuple[float, float]
):
    grid, area, found = opened(plain(tmp_path, replace(pixels, transform=transform, offset=offset)))
    assert grid.ratio == 4 and area == Window(0, 0, 160, 144)
    assert abs(grid.row_offset - offset[0]) < 1e-3 and abs(grid.col_offset - offset[1]) < 1e-3
    assert found == transform


PARTLY = {
    "MS ends early": ((0, 0), slice(0, 30), slice(0, 31), Window(0, 0, 120, 124)),
    "MS begins late": ((-40, -20), slice(0, 36), slice(0, 34), Window(40, 20, 120, 124)),
    "MS begins late, by part of a pixel": (
        (-40.5, -20.25),
        slice(0, 36),
        slice(0, 34),
        Window(40, 20, 120, 124),
    ),
    "MS crosses a corner": ((-40, 30), slice(0, 36), slice(0, 33), Window(40, 0, 120, 102)),
    "less than an MS pixel is missing": ((-3, 2.5), slice(0, 40), slice(0, 36), Window(0, 0, 157 + 3, 144)),
}


@pytest.mark.parametrize("kind", PARTLY)
def test_the_product_is_what_both_show(pixels: Pixels, tmp_path: Path, kind: str):
    offset, rows, cols, expected = PARTLY[kind]
    files = plain(tmp_path, replace(pixels, ms=pixels.ms[:, rows, cols], offset=offset))
    grid, area, transform = opened(files)
    assert area == expected
    assert (grid.row_offset, grid.col_offset) == (offset[0] + area.row, offset[1] + area.col)
    assert transform == UTM @ Affine.translation(area.col, area.row)


WANTED = {
    "a window": SceneOptions(window=Window(31, 17, 100, 90)),
    "an extent": SceneOptions(extent=(600008.5, 4999934.5, 600053.5, 4999984.5)),
    "an extent between pixels": SceneOptions(extent=(600008.4, 4999934.4, 600053.4, 4999984.6)),
    "a window beyond PAN": SceneOptions(window=Window(60, 40, 1000, 1000)),
}


@pytest.mark.parametrize("kind", WANTED)
def test_the_product_of_a_part_is_that_of_a_pan_cut_to_it(
    pixels: Pixels, bundle: Bundle, tmp_path: Path, kind: str
):
    files = replace(plain(tmp_path, pixels), options=WANTED[kind])
    _, area, transform = opened(files)
    assert area == (Window(60, 40, 100, 104) if "beyond" in kind else Window(31, 17, 100, 90))
    (tmp_path / "cut").mkdir()
    other = plain(tmp_path / "cut", cut(pixels, area))
    expected = product(other, bundle, tmp_path / "cut" / "out.tif")
    for tile in (64, 256):
        assert np.array_equal(product(files, bundle, tmp_path / "out.tif", tile=tile), expected)
    with rasterio.open(tmp_path / "out.tif") as found, rasterio.open(other.pan) as pan:
        assert found.transform == transform == pan.transform


@pytest.mark.parametrize("turned", [TURNED, SHEARED, SOUTH_UP])
def test_the_geotransform_does_not_change_a_pixel(
    pixels: Pixels, bundle: Bundle, tmp_path: Path, turned: Affine
):
    products = []
    for transform in (UTM, turned):
        files = plain(tmp_path, replace(pixels, transform=transform))
        products.append(product(files, bundle, tmp_path / "out.tif"))
        with rasterio.open(tmp_path / "out.tif") as raster:
            assert raster.transform == transform
    assert np.array_equal(*products)


@pytest.mark.parametrize("ratio", [2, 3, 5, 6])
def test_other_ratios_and_odd_sizes(tmp_path: Path, ratio: int):
    scene = smooth_pixels(151, 133, ratio)
    found = product(plain(tmp_path, scene), None, tmp_path / "out.tif", tile=64)
    assert found.shape == (4, 151, 133)
    assert np.array_equal(found, product(plain(tmp_path, scene), None, tmp_path / "out.tif", tile=256))
    near = scene.ms.repeat(ratio, axis=1).repeat(ratio, axis=2)[:, :151, :133].astype(float)
    assert np.abs(found - near).mean() < 120


def test_a_ratio_that_is_whole_but_for_rounding(pixels: Pixels, tmp_path: Path):
    assert opened(plain(tmp_path, replace(pixels, ratio=4.0003)))[0] == Grid(4)


def test_a_drift_over_a_large_scene_is_refused_but_a_part_of_it_is_not(tmp_path: Path):
    folder = tmp_path
    pan = write_file(folder / "pan.tif", np.ones((1, 64, 9000), np.uint8), UTM, compress="deflate")
    coarse = UTM @ Affine.scale(4.002)
    ms = write_file(folder / "ms.tif", np.ones((4, 16, 2250), np.uint8), coarse, compress="deflate")
    with pytest.raises(SceneError, match="drift"):
        opened(Files(pan, (ms,)))
    grid, area, _ = opened(Files(pan, (ms,), SceneOptions(window=Window(0, 4000, 64, 500))))
    assert area == Window(0, 4000, 64, 500)
    assert abs(grid.col_offset - (4250 * 4 / 4.002 - 250)) < 0.07


def sensor_scene(folder: Path, pixels: Pixels, **geometry: object) -> Files:
    pan = write_file(folder / "pan.tif", pixels.pan[None], None, **geometry)
    return Files(
        pan, (write_file(folder / "ms.tif", pixels.ms, None),), SceneOptions(window=Window(24, 40, 100, 90))
    )


def test_ground_control_points_move_with_the_part(pixels: Pixels, bundle: Bundle, tmp_path: Path):
    points = [
        GroundControlPoint(row, col, 11 + 1e-5 * col, 48 - 1e-5 * row, 500)
        for row in (0, 160)
        for col in (0, 144)
    ]
    files = sensor_scene(tmp_path, pixels, gcps=points, crs="EPSG:4326")
    product(files, bundle, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as raster:
        found, crs = raster.gcps
        assert crs.to_epsg() == 4326 and raster.transform.is_identity
        assert [(p.row + 24, p.col + 40, p.x, p.y, p.z) for p in found] == [
            (p.row, p.col, p.x, p.y, p.z) for p in points
        ]


def test_rational_polynomials_move_with_the_part(pixels: Pixels, bundle: Bundle, tmp_path: Path):
    line, sample = [float(k) / 100 for k in range(20)], [float(k) / 50 for k in range(20)]
    one = [1.0, *[0.0] * 19]
    rpc = RPC(
        height_off=500, height_scale=100, lat_off=48, lat_scale=0.1, long_off=11, long_scale=0.1,
        line_off=80.5, line_scale=80, samp_off=72.25, samp_scale=72,
        line_num_coeff=line, line_den_coeff=one, samp_num_coeff=sample, samp_den_coeff=one,
    )  # fmt: skip
    files = sensor_scene(tmp_path, pixels, rpcs=rpc)
    product(files, bundle, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as raster:
        found = raster.rpcs
        assert (found.line_off, found.samp_off) == (80.5 - 24, 72.25 - 40)
        assert found.line_num_coeff == line and found.samp_num_coeff == sample
        assert (found.line_scale, found.height_off) == (80, 500)
        assert raster.crs is None and raster.transform.is_identity
    assert not list(tmp_path.glob("out.tif.*"))


def test_scale_offset_and_unit_of_ms_are_those_of_the_product(pixels: Pixels, bundle: Bundle, tmp_path: Path):
    files = plain(tmp_path, pixels)
    with rasterio.open(files.ms[0], "r+") as ms:
        ms.scales, ms.offsets = (0.01, 0.02, 0.03, 0.04), (0, -1, 2, 3)
        for band in range(1, 5):
            ms.set_band_unit(band, "W/m2/sr/um")
    product(files, bundle, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.scales == (0.01, 0.02, 0.03, 0.04) and raster.offsets == (0, -1, 2, 3)
        assert set(raster.units) == {"W/m2/sr/um"}


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_other_types_of_the_same_dn_make_the_same_product(
    pixels: Pixels, bundle: Bundle, tmp_path: Path, dtype: str
):
    expected = product(plain(tmp_path, pixels), bundle, tmp_path / "out.tif")
    for backend in ("native", "onnx"):
        files = plain(tmp_path, pixels.cast(dtype))
        found = product(files, bundle, tmp_path / f"{backend}.tif", bit_depth=11, backend=backend)
        assert found.dtype == dtype
        apart = np.abs(np.rint(found) - expected)
        assert apart.max() <= (0 if backend == "native" else 3)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_other_types_through_the_classical_method(pixels: Pixels, tmp_path: Path, dtype: str):
    expected = product(plain(tmp_path, pixels), None, tmp_path / "out.tif")
    found = product(plain(tmp_path, pixels.cast(dtype)), None, tmp_path / "other.tif")
    assert found.dtype == dtype and np.abs(np.rint(found) - expected).max() <= 1


def test_windows_beyond_the_scene_repeat_its_edge(pixels: Pixels, tmp_path: Path):
    files = replace(plain(tmp_path, pixels), options=SceneOptions(window=Window(24, 40, 100, 90)))
    part = pixels.pan[24:124, 40:130]
    with open_scene(files.pan, files.ms, None, options=files.options) as scene:
        out = np.zeros((160, 140), np.uint16)
        scene.read_pan(Window(-30, -25, 160, 140), out)
        assert np.array_equal(out, np.pad(part, ((30, 30), (25, 25)), mode="edge"))
        scene.read_pan(Window(300, 300, 160, 140), out)
        assert (out == part[-1, -1]).all()
