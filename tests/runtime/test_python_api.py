"""Arrays in, arrays out: the pixels of the command, whatever form a scene comes in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config
from rasterio.vrt import WarpedVRT
from raw_scenes import RawScene, SceneWriter, read_raster
from requirements import require_package

import bnnpan_runtime
from bnnpan_runtime import Bundle, fuse, fuse_tiles, plan
from bnnpan_runtime.errors import BnnpanError, BudgetError, SceneError
from bnnpan_runtime.scene import SceneOptions

PLENTY = "4GiB"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "python.md"


@pytest.fixture
def raw(write_scene: SceneWriter) -> RawScene:
    return write_scene(150, 140)


@pytest.fixture
def expected(raw: RawScene, bundle: Bundle, tmp_path: Path) -> np.ndarray:
    """What the command makes of the files."""
    fuse(raw.pan, raw.ms, bundle, tmp_path / "product.tif", memory=PLENTY)
    return read_raster(tmp_path / "product.tif")


class TestNumpy:
    def test_arrays_give_the_pixels_of_the_command(self, raw: RawScene, bundle: Bundle, expected: np.ndarray):
        pan, ms = read_raster(raw.pan), read_raster(raw.ms)
        for of_pan in (pan, pan[0], np.asfortranarray(pan[0]), pan[0].astype(">u2")):
            assert np.array_equal(fuse(of_pan, ms, bundle), expected)

    def test_tile_and_threads_do_not_change_them(self, raw: RawScene, bundle: Bundle, expected: np.ndarray):
        pan, ms = read_raster(raw.pan), read_raster(raw.ms)
        assert np.array_equal(fuse(pan, ms, bundle, tile=64, threads=2), expected)

    def test_nodata_is_what_the_caller_says(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        def punch(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[20:50, 30:60] = 0

        raw = write_scene(150, 140, nodata=0, change=punch)
        fuse(raw.pan, raw.ms, bundle, tmp_path / "product.tif", memory=PLENTY)
        product = fuse(read_raster(raw.pan), read_raster(raw.ms), bundle, nodata=0)
        assert np.array_equal(product, read_raster(tmp_path / "product.tif"))
        assert not product[:, 20:50, 30:60].any()

    def test_the_classical_method_takes_any_bands(self, raw: RawScene):
        product = fuse(read_raster(raw.pan), read_raster(raw.ms)[:2], None, backend="classical")
        assert product.shape == (2, 150, 140)

    def test_a_part_of_the_scene(self, raw: RawScene, bundle: Bundle):
        from bnnpan_runtime.contract import Window

        part = SceneOptions(window=Window(8, 12, 100, 90))
        assert fuse(read_raster(raw.pan), read_raster(raw.ms), bundle, scene_options=part).shape == (
            4,
            100,
            90,
        )

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            (lambda pan: pan.astype(np.float64), "float64"),
            (lambda pan: np.ma.masked_equal(pan, 3), "masked"),
            (lambda pan: pan[0, 0], "shape"),
            (lambda pan: pan[:, :0], "shape"),
            (lambda pan: pan.astype(np.uint8), "dtype"),
            (lambda pan: pan[:, :-70], "ratio"),
        ],
    )
    def test_what_is_no_scene_is_said_in_one_line(
        self, raw: RawScene, bundle: Bundle, change: Any, word: str
    ):
        with pytest.raises(SceneError, match=word):
            fuse(change(read_raster(raw.pan)), read_raster(raw.ms), bundle)


class TestDatasets:
    def test_open_ones_and_paths_give_the_pixels_of_the_command(
        self, raw: RawScene, bundle: Bundle, expected: np.ndarray
    ):
        with rasterio.open(raw.pan) as pan, rasterio.open(raw.ms) as ms:
            assert np.array_equal(fuse(pan, ms, bundle), expected)
            assert np.array_equal(fuse(str(raw.pan), ms, bundle), expected)
            assert not pan.closed and not ms.closed

    def test_ms_in_several(self, raw: RawScene, bundle: Bundle, expected: np.ndarray, tmp_path: Path):
        with rasterio.open(raw.ms) as ms:
            profile = {**ms.profile, "count": 1}
            for band in ms.indexes:
                with rasterio.open(tmp_path / f"{band}.tif", "w", **profile) as single:
                    single.write(ms.read(band), 1)
        files = [rasterio.open(tmp_path / f"{band}.tif") for band in (1, 2, 3, 4)]
        assert np.array_equal(fuse(raw.pan, files, bundle), expected)

    def test_closed_ones_and_views_are_refused(self, raw: RawScene, bundle: Bundle):
        with rasterio.open(raw.pan) as pan, WarpedVRT(pan) as view:
            with pytest.raises(SceneError, match="WarpedVRT"):
                fuse(view, raw.ms, bundle)
        with pytest.raises(SceneError, match="closed"):
            fuse(pan, raw.ms, bundle)


class TestFiles:
    def test_with_a_file_to_write_there_is_a_report(
        self, raw: RawScene, bundle: Bundle, expected: np.ndarray, tmp_path: Path
    ):
        report = fuse(
            read_raster(raw.pan), read_raster(raw.ms), bundle, tmp_path / "a.tif", memory=PLENTY, tile=64
        )
        assert (report.product, report.tile) == (str(tmp_path / "a.tif"), 64)
        assert np.array_equal(read_raster(tmp_path / "a.tif"), expected)

    def test_without_a_budget_none_is_written(self, raw: RawScene, bundle: Bundle, tmp_path: Path):
        with pytest.raises(TypeError, match="memory"):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "a.tif")  # type: ignore[call-overload]

    def test_plans_are_those_of_the_run(self, raw: RawScene, bundle: Bundle):
        planned = plan(read_raster(raw.pan), read_raster(raw.ms), bundle, memory=PLENTY, tile=64)
        assert (planned.tile, planned.tiles) == (64, 9)
        with fuse_tiles(raw.pan, raw.ms, bundle, memory=PLENTY, tile=64) as tiles:
            assert tiles.plan.tiles == planned.tiles

    def test_a_budget_that_cannot_be_kept_is_refused_for_arrays_too(self, raw: RawScene, bundle: Bundle):
        with pytest.raises(BudgetError, match="smallest that works"):
            fuse(read_raster(raw.pan), read_raster(raw.ms), bundle, memory="2MiB")


class TestTiles:
    def test_they_are_the_product_each_once_in_order(
        self, raw: RawScene, bundle: Bundle, expected: np.ndarray
    ):
        with fuse_tiles(raw.pan, raw.ms, bundle, tile=64, threads=2) as tiles:
            assert tiles.shape == expected.shape
            every = list(tiles)
        product, times = np.zeros_like(expected), np.zeros(expected.shape, int)
        for tile in every:
            product[tile.slices] = tile.pixels
            times[tile.slices] += 1
        assert np.array_equal(product, expected) and (times == 1).all()
        assert [(tile.row, tile.col) for tile in every] == sorted((tile.row, tile.col) for tile in every)

    def test_a_tile_stays_what_it_is(self, raw: RawScene, bundle: Bundle):
        tiles = fuse_tiles(raw.pan, raw.ms, bundle, tile=64)
        first = next(tiles)
        kept = first.pixels.copy()
        list(tiles)
        assert np.array_equal(first.pixels, kept)

    def test_tiles_without_a_measurement_say_so(self, write_scene: SceneWriter, bundle: Bundle):
        def blank(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[:70] = 0

        raw = write_scene(150, 140, nodata=0, change=blank)
        with fuse_tiles(raw.pan, raw.ms, bundle, tile=64) as tiles:
            assert [tile.is_missing for tile in tiles] == [tile < 3 for tile in range(9)]

    def test_leaving_early_closes_everything(self, raw: RawScene, bundle: Bundle):
        with rasterio.Env():
            before = get_gdal_config("GDAL_CACHEMAX")
            with fuse_tiles(raw.pan, raw.ms, bundle, tile=64) as tiles:
                next(tiles)
                assert get_gdal_config("GDAL_CACHEMAX") != before
            assert get_gdal_config("GDAL_CACHEMAX") == before
            with pytest.raises(StopIteration):
                next(tiles)


class TestXarray:
    @pytest.fixture(autouse=True)
    def xarray(self) -> Any:
        require_package("xarray")
        import xarray

        return xarray

    def labelled(self, path: Path, xarray: Any, **attributes: Any) -> Any:
        with rasterio.open(path) as raster:
            grid = raster.transform
            x = grid.c + grid.a * (np.arange(raster.width) + 0.5)
            y = grid.f + grid.e * (np.arange(raster.height) + 0.5)
            crs = xarray.DataArray(0, attrs={"crs_wkt": raster.crs.to_wkt()})
            coords = {"y": ("y", y, {"axis": "Y"}), "x": x, "spatial_ref": crs}
            return xarray.DataArray(
                raster.read(), dims=("band", "y", "x"), coords=coords, attrs=attributes, name="DN"
            )

    def test_coordinates_come_from_pan_and_the_rest_from_ms(
        self, raw: RawScene, bundle: Bundle, expected: np.ndarray, xarray: Any
    ):
        pan = self.labelled(raw.pan, xarray)
        ms = self.labelled(raw.ms, xarray, units="DN").assign_coords(band=["blue", "green", "red", "nir"])
        product = fuse(pan.squeeze("band"), ms, bundle)
        assert isinstance(product, xarray.DataArray)
        assert (product.dims, product.attrs, product.name) == (("band", "y", "x"), {"units": "DN"}, "DN")
        assert np.array_equal(product.values, expected)
        assert np.array_equal(product.x, pan.x) and product.y.attrs == {"axis": "Y"}
        assert list(product.band.values) == ["blue", "green", "red", "nir"]
        assert product.spatial_ref.attrs == pan.spatial_ref.attrs

    def test_bands_are_matched_by_their_names(
        self, raw: RawScene, bundle: Bundle, expected: np.ndarray, xarray: Any
    ):
        ms = self.labelled(raw.ms, xarray).assign_coords(band=["blue", "green", "red", "nir"])
        product = fuse(self.labelled(raw.pan, xarray)[0], ms[::-1], bundle)
        assert list(product.band.values) == ["blue", "green", "red", "nir"]
        assert np.array_equal(product.values, expected)

    def test_axes_keep_their_order(self, raw: RawScene, bundle: Bundle, expected: np.ndarray, xarray: Any):
        ms = self.labelled(raw.ms, xarray).transpose("y", "x", "band")
        product = fuse(self.labelled(raw.pan, xarray)[0], ms, bundle)
        assert product.dims == ("y", "x", "band")
        assert np.array_equal(product.transpose("band", "y", "x").values, expected)

    def test_grids_are_placed_by_their_coordinates(
        self, write_scene: SceneWriter, bundle: Bundle, xarray: Any
    ):
        raw = write_scene(150, 140, ms_shape=(60, 60), offset=(9, 14))
        pan, ms = self.labelled(raw.pan, xarray)[0], self.labelled(raw.ms, xarray)
        whole = fuse(raw.pan, raw.ms, bundle)
        assert np.array_equal(fuse(pan, ms, bundle).values, whole)
        part = fuse(pan, ms[:, :30], bundle)
        assert part.sizes["y"] < 150 and np.array_equal(part.y, pan.y[: part.sizes["y"]])

    def test_fill_values_are_no_data(self, write_scene: SceneWriter, bundle: Bundle, xarray: Any):
        def punch(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[20:50, 30:60] = 0

        raw = write_scene(150, 140, nodata=0, change=punch)
        product = fuse(
            self.labelled(raw.pan, xarray, _FillValue=0)[0],
            self.labelled(raw.ms, xarray, _FillValue=0),
            bundle,
        )
        assert np.array_equal(product.values, fuse(raw.pan, raw.ms, bundle))

    def test_uneven_coordinates_are_refused(self, raw: RawScene, bundle: Bundle, xarray: Any):
        pan = self.labelled(raw.pan, xarray)[0]
        with pytest.raises(SceneError, match="evenly"):
            fuse(pan.assign_coords(x=pan.x.values**2), self.labelled(raw.ms, xarray), bundle)


class TestPackage:
    def test_names_are_exported_and_importing_the_package_costs_nothing(self):
        assert {"Bundle", "fuse", "plan", "fuse_tiles"} <= set(bnnpan_runtime.__all__)
        program = (
            "import sys, bnnpan_runtime; sys.exit(any(name in sys.modules for name in ('numpy', 'rasterio')))"
        )
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0

    def test_arrays_do_not_import_xarray(self):
        program = "import sys, bnnpan_runtime.arrays; sys.exit('xarray' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program]).returncode == 0

    def test_errors_are_of_one_kind(self):
        assert issubclass(SceneError, BnnpanError)


def test_the_examples_of_the_page_run_in_their_order(
    raw: RawScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require_package("xarray")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) > 5
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(DOCS), "exec"), names)
    assert np.array_equal(read_raster(tmp_path / "tiles.tif"), names["product"])
