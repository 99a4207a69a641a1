"""The products as a STAC collection, validated with the specification's own schemas."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
from raw_scenes import write_raw_scene
from stac_items import validate_item

from .conftest import Made, archive, run


def validated(folder: Path) -> tuple[pystac.Collection, dict[str, pystac.Item]]:
    collection = pystac.Collection.from_file(str(folder / "collection.json"))
    assert collection.validate()
    items = {item.id: item for item in collection.get_items()}
    for item in items.values():
        validate_item(json.loads(Path(item.self_href).read_text()))
    return collection, items


def test_it_has_an_item_for_every_product(made: Made):
    collection, items = validated(made.folder)
    assert items.keys() == {"s0", "s1"}
    item = items["s0"]
    asset = item.assets["product"]
    product = Path(asset.get_absolute_href() or "")
    assert product == made.folder / "s0" / "s0.tif"
    assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(product.read_bytes()).hexdigest()
    assert item.bbox is not None and collection.extent.spatial.bboxes[0][0] <= item.bbox[0]
    beside = {
        key: Path(asset.get_absolute_href() or "") for key, asset in item.assets.items() if key != "model"
    }
    assert beside.keys() == {"product", "thumbnail", "result"} and all(map(Path.is_file, beside.values()))


def test_a_folder_may_be_moved(copied: Path):
    _, items = validated(copied)
    href = items["s1"].assets["product"].get_absolute_href()
    assert href == str(copied / "s1" / "s1.tif")
    assert archive("report", copied).value["made"] == 2


def test_the_same_records_give_the_same_files(copied: Path):
    files = [path for path in copied.rglob("*") if path.suffix in (".json", ".html")]
    archive("report", copied)
    first = {path: path.read_bytes() for path in files}
    archive("report", copied)
    assert {path: path.read_bytes() for path in files} == first


def test_items_of_a_catalogue_keep_their_time_and_their_source(tmp_path: Path):
    source = tmp_path / "in" / "x"
    source.mkdir(parents=True)
    write_raw_scene(source, 80, 80)
    taken = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
    item = pystac.Item("x", None, None, taken, {})
    item.add_asset("pan", pystac.Asset("./pan.tif"))
    item.add_asset("ms", pystac.Asset("./ms.tif"))
    catalog = pystac.Catalog("in", "Scenes")
    catalog.add_item(item)
    catalog.normalize_and_save(str(tmp_path / "in"), pystac.CatalogType.SELF_CONTAINED)
    assert run(tmp_path / "in", tmp_path / "out", "--no-quality").exit_code == 0
    collection, items = validated(tmp_path / "out")
    assert items["x"].datetime == taken
    assert collection.extent.temporal.intervals == [[taken, taken]]
    archive("report", tmp_path / "out")
    _, items = validated(tmp_path / "out")
    sources = [Path(link.get_absolute_href() or "") for link in items["x"].get_links("derived_from")]
    assert sources.count(source / "x.json") == 1


def test_products_without_a_place_make_a_valid_collection(tmp_path: Path):
    (tmp_path / "in").mkdir()
    write_raw_scene(tmp_path / "in", 80, 80, georeferenced=False)
    assert run(tmp_path / "in", tmp_path / "out", "--no-quality").exit_code == 0
    _, items = validated(tmp_path / "out")
    assert items["in"].geometry is None and items["in"].bbox is None


def test_a_damaged_item_is_named(copied: Path):
    (copied / "s0" / "s0.stac.json").write_text("{")
    refused = archive("report", copied)
    assert refused.exit_code == 9 and "s0.stac.json" in refused.message
