"""STAC items of products: valid by every schema they name, and as an independent maker describes the file."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.transform import Affine
from raw_scenes import SceneWriter, read_raster, write_raster
from requirements import require_package
from stac_items import validate_item

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.finishing.order import Finishing, item_path
from bnnpan_runtime.run import fuse
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.stac.footprint import footprint_of

for package in ("pystac", "rio_stac"):
    require_package(package)
import pystac  # noqa: E402
from rio_stac import create_stac_item  # noqa: E402

PLENTY = "4GiB"
FORM = ProductFormat(100, 80, 1, "uint8", None, None, None, (None,))


def item_of(raw: Any, bundle: Bundle | None, out: Path, **options: Any) -> dict[str, Any]:
    finishing = options.pop("finishing", Finishing(stac=True))
    fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, overwrite=True, finishing=finishing, **options)
    item: dict[str, Any] = json.loads(item_path(out).read_text())
    validate_item(item)
    return item


def multihash(path: Path) -> str:
    return "1220" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def item(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path) -> dict[str, Any]:
    """Of a product in every form, with all files beside it."""
    raw = write_scene(nodata=0)
    every = Finishing(cog=True, thumbnail=True, stac=True)
    return item_of(raw, bundle, tmp_path / "out.tif", finishing=every, mask=tmp_path / "mask.tif")


def test_pystac_reads_it(item: dict[str, Any], tmp_path: Path):
    read = pystac.Item.from_file(str(item_path(tmp_path / "out.tif")))
    assert (read.id, read.collection_id) == ("out", None)
    assert sorted(read.assets) == ["mask", "model", "product", "thumbnail"]
    for key in ("product", "thumbnail", "mask"):
        assert Path(read.assets[key].get_absolute_href() or "").is_file()


def test_an_independent_maker_says_the_same_of_the_file(item: dict[str, Any], tmp_path: Path):
    theirs = create_stac_item(
        str(tmp_path / "out.tif"), with_proj=True, with_raster=True, geom_densify_pts=21, raster_max_size=0
    ).to_dict()
    ours = item["properties"]
    assert ours["proj:code"] == f"EPSG:{theirs['properties']['proj:epsg']}"
    assert ours["proj:shape"] == theirs["properties"]["proj:shape"]
    assert ours["proj:bbox"] == pytest.approx(theirs["properties"]["proj:bbox"])
    assert ours["proj:transform"] == pytest.approx(theirs["properties"]["proj:transform"][:6])
    assert item["bbox"] == pytest.approx(theirs["bbox"], abs=1e-6)
    theirs_bands = theirs["assets"]["asset"]["raster:bands"]
    for mine, other in zip(item["assets"]["product"]["raster:bands"], theirs_bands, strict=True):
        for name in ("data_type", "scale", "offset", "sampling", "nodata"):
            assert mine[name] == other[name]
        assert mine["statistics"] == pytest.approx(other["statistics"], rel=1e-6)


def test_every_file_is_named_by_its_content(item: dict[str, Any], bundle: Bundle, tmp_path: Path):
    for name in ("out.tif", "out.thumbnail.jpg", "mask.tif"):
        (asset,) = (one for one in item["assets"].values() if one["href"] == f"./{name}")
        assert asset["file:checksum"] == multihash(tmp_path / name)
        assert asset["file:size"] == (tmp_path / name).stat().st_size
    assert item["assets"]["model"]["file:checksum"] == multihash(bundle.path)
    assert item["properties"]["bnnpan:inputs"] == [
        {
            "role": role,
            "name": f"{role}.tif",
            "file:size": (tmp_path / f"{role}.tif").stat().st_size,
            "file:checksum": multihash(tmp_path / f"{role}.tif"),
        }
        for role in ("pan", "ms")
    ]
    assert str(tmp_path) not in json.dumps(item)


def test_it_says_how_the_product_was_made(item: dict[str, Any], bundle: Bundle):
    said = item["properties"]
    assert said["bnnpan:bundle"]["id"] == bundle.manifest.id
    assert said["bnnpan:bundle"]["manifest_sha256"] == bundle.sha256
    assert said["mlm:name"] == "BNNPan bgrn-x4" and said["mlm:framework"] == "PyTorch"
    assert said["bnnpan:plan"]["measured_peak_bytes"] > 0 and said["bnnpan:plan"]["halo"] == 12
    assert said["bnnpan:shift"]["outcome"] in ("negligible", "unsure", "corrected", "off")
    assert len(said["bnnpan:calibration"]["ms_scale"]) == 4
    assert "bnnpan-runtime" in said["processing:software"]
    assert [band["name"] for band in item["assets"]["product"]["bands"]] != []
    assert item["assets"]["product"]["type"].endswith("profile=cloud-optimized")


def test_quality_is_in_it_if_it_was_measured(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    from bnnpan_runtime.judging.gate import Judging

    judged = item_of(write_scene(), bundle, tmp_path / "out.tif", judging=Judging(measure=True))
    assert 0 < judged["properties"]["bnnpan:quality"]["HQNR"] <= 1


def test_the_classical_method_is_no_model(write_scene: SceneWriter, tmp_path: Path):
    item = item_of(write_scene(), None, tmp_path / "out.tif", backend="classical")
    assert "model" not in item["assets"] and not any(name.startswith("mlm:") for name in item["properties"])
    assert "MTF-GLP" in item["properties"]["processing:lineage"]


class TestTime:
    def test_it_is_that_of_the_command_first(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        wanted = Finishing(stac=True, acquired=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC))
        said = item_of(write_scene(), bundle, tmp_path / "out.tif", finishing=wanted)["properties"]
        assert (said["datetime"], said["bnnpan:datetime_from"]) == ("2024-05-06T07:08:09Z", "the command")

    def test_else_what_pan_says(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        with rasterio.open(raw.pan, "r+") as pan:
            pan.update_tags(TIFFTAG_DATETIME="2023:04:05 06:07:08")
        said = item_of(raw, bundle, tmp_path / "out.tif")["properties"]
        assert (said["datetime"], said["bnnpan:datetime_from"]) == (
            "2023-04-05T06:07:08Z",
            "TIFFTAG_DATETIME",
        )

    def test_else_the_date_of_its_file(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        os.utime(raw.pan, (1_700_000_000, 1_700_000_000))
        said = item_of(raw, bundle, tmp_path / "out.tif")["properties"]
        assert (said["datetime"], "file of PAN" in said["bnnpan:datetime_from"]) == (
            "2023-11-14T22:13:20Z",
            True,
        )


class TestWhereItLies:
    def test_a_scene_without_georeferencing_has_no_geometry(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        item = item_of(write_scene(georeferenced=False), bundle, tmp_path / "out.tif")
        assert item["geometry"] is None and "bbox" not in item
        assert item["properties"]["proj:code"] is None
        assert item["properties"]["proj:shape"] == [200, 180]
        assert "proj:transform" not in item["properties"] and "gsd" not in item["properties"]

    @pytest.mark.parametrize("kind", ["gcps", "rpcs"])
    def test_sensor_geometry_gives_a_footprint(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, kind: str
    ):
        raw = write_scene(georeferenced=False)
        for path in (raw.pan, raw.ms):
            scale = 1 if path == raw.pan else 4
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                write_raster(path, read_raster(path), **SENSOR[kind](scale))
        item = item_of(raw, bundle, tmp_path / "out.tif")
        west, south, east, north = item["bbox"]
        assert (west, north) == pytest.approx((10, 50), abs=2e-3)
        assert (east, south) == pytest.approx((10 + 180e-5, 50 - 200e-5), abs=2e-3)
        source = item["properties"]["bnnpan:footprint_from"]
        assert source == {"gcps": "4 ground control points", "rpcs": "RPCs at a height of 100 m"}[kind]
        assert "proj:transform" not in item["properties"]

    def test_one_across_180_degrees_has_two_parts_and_its_west_in_the_east(self):
        form = replace(FORM, crs=CRS.from_epsg(32660), transform=Affine(1000, 0, 780_000, 0, -1000, 50_000))
        found = footprint_of(form)
        assert found is not None and found.geometry["type"] == "MultiPolygon"
        west, south, east, north = found.bbox
        assert 179 < west < 180 and -180 < east < -179 and south < north

    def test_rings_are_counter_clockwise_even_of_a_south_up_grid(self):
        for down in (1e-3, -1e-3):
            form = replace(FORM, crs=CRS.from_epsg(4326), transform=Affine(1e-3, 0, 7, 0, down, 8))
            found = footprint_of(form)
            assert found is not None
            ring = np.array(found.geometry["coordinates"][0])
            assert np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]) > 0

    def test_a_place_that_its_projection_does_not_know_is_none(self):
        form = replace(FORM, crs=CRS.from_epsg(32631), transform=Affine(1e9, 0, 1e12, 0, -1e9, 1e12))
        assert footprint_of(form) is None


def gcps(scale: int) -> dict[str, Any]:
    corners = [(row, col) for row in (0, 200) for col in (0, 180)]
    points = [
        GroundControlPoint(row=row / scale, col=col / scale, x=10 + 1e-5 * col, y=50 - 1e-5 * row)
        for row, col in corners
    ]
    return {"gcps": points, "crs": "EPSG:4326"}


def rpcs(scale: int) -> dict[str, Any]:
    row, col, one = [0.0, 0.0, -1.0, *[0.0] * 17], [0.0, 1.0, 0.0, *[0.0] * 17], [1.0, *[0.0] * 19]
    ground = {"height_off": 100, "height_scale": 500, "lat_scale": 1e-3, "long_scale": 9e-4}
    return {
        "rpcs": RPC(
            **ground,
            lat_off=50 - 1e-3,
            long_off=10 + 9e-4,
            line_off=100 / scale,
            line_scale=100 / scale,
            samp_off=90 / scale,
            samp_scale=90 / scale,
            line_num_coeff=row,
            line_den_coeff=one,
            samp_num_coeff=col,
            samp_den_coeff=one,
        )
    }


SENSOR = {"gcps": gcps, "rpcs": rpcs}
