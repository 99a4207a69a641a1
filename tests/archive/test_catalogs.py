"""Which scenes a catalogue has, whatever its form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnpan_archive.catalog import read_catalog
from bnnpan_archive.scene import Scene, safe_name
from bnnpan_runtime.errors import BnnpanError, ConfigError, SceneError


def read(path: Path, **options: object) -> list[Scene]:
    return list(read_catalog(path, without=path.parent / "products", **options))  # type: ignore[arg-type]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@given(st.text())
def test_a_safe_name_is_one_plain_folder(text: str):
    name = safe_name(text)
    assert name and not name.startswith(".") and "/" not in name and name == safe_name(name)


class TestFolder:
    def test_pairs_are_told_by_a_word_of_their_names(self, tmp_path: Path):
        touch(tmp_path / "a" / "pan.tif", tmp_path / "a" / "ms.tif", tmp_path / "a" / "truth.tif")
        touch(tmp_path / "b" / "27MAR_PAN.TIF", tmp_path / "b" / "27MAR_MUL.TIF", tmp_path / "pansy.tif")
        found = {
            scene.name: (Path(scene.pan).name, [Path(ms).name for ms in scene.ms]) for scene in read(tmp_path)
        }
        assert found == {"a": ("pan.tif", ["ms.tif"]), "b_27MAR": ("27MAR_PAN.TIF", ["27MAR_MUL.TIF"])}

    def test_products_hidden_files_and_single_files_are_left_out(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        touch(tmp_path / "x_pan.tif", tmp_path / "x_ms.tif", tmp_path / "alone_pan.tif")
        touch(tmp_path / "out" / "y_pan.tif", tmp_path / "out" / "y_ms.tif", tmp_path / ".z" / "pan.tif")
        found = read_catalog(tmp_path, without=tmp_path / "out")
        assert [scene.name for scene in found] == ["x"]
        assert "alone_pan.tif is left out" in caplog.text

    def test_none_is_refused(self, tmp_path: Path):
        with pytest.raises(SceneError, match="no pair"):
            read(tmp_path)


class TestTables:
    def test_csv_and_json_say_the_same(self, tmp_path: Path):
        table = tmp_path / "pairs.csv"
        table.write_text(
            "name,pan,ms,bands,memory\nfirst,p.tif,b.tif; g.tif,blue;green,96MiB\n,in/pan.tif,in/ms.tif,,\n"
        )
        rows = [
            {
                "name": "first",
                "pan": "p.tif",
                "ms": ["b.tif", "g.tif"],
                "bands": ["blue", "green"],
                "memory": "96MiB",
            },
            {"pan": "in/pan.tif", "ms": "in/ms.tif"},
        ]
        listed = tmp_path / "pairs.json"
        listed.write_text(json.dumps({"scenes": rows}))
        assert read(table) == read(listed)
        first, second = read(table)
        assert first.ms == (str(tmp_path / "b.tif"), str(tmp_path / "g.tif"))
        assert (first.bands, first.memory_bytes) == (("blue", "green"), 96 << 20)
        assert (second.name, second.memory_bytes) == ("in", None)

    def test_what_gdal_alone_finds_stays_as_it_is(self, tmp_path: Path):
        table = tmp_path / "pairs.csv"
        table.write_text("name,pan,ms\na,/vsizip/x.zip/p.tif,https://example.org/ms.tif\n")
        (scene,) = read(table)
        assert (scene.pan, *scene.ms) == ("/vsizip/x.zip/p.tif", "https://example.org/ms.tif")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("pan\na.tif\n", "needs pan and ms"),
            ("pan,ms,colour\na,b,c\n", "colour is not known"),
            ("pan,ms,memory\na,b,12MB\n", "12MB"),
            ("name,pan,ms\nx,a,b\nX,c,d\n", "two scenes are named X"),
        ],
    )
    def test_wrong_rows_are_refused(self, tmp_path: Path, text: str, why: str):
        table = tmp_path / "pairs.csv"
        table.write_text(text)
        with pytest.raises(ConfigError, match=why):
            read(table)

    @pytest.mark.parametrize("text", ["", "[", "7", '{"scenes": 7}', "[7]", '[{"pan": "a"}]'])
    def test_what_is_no_table_is_refused(self, tmp_path: Path, text: str):
        listed = tmp_path / "pairs.json"
        listed.write_text(text)
        with pytest.raises(BnnpanError, match=r"pairs\.json"):
            read(listed)


def write_stac(folder: Path) -> Path:
    """A catalogue with a collection of three items: one MS, an MS of a file per band, and none."""
    catalog = pystac.Catalog("all", "All scenes")
    collection = pystac.Collection("camera", "Of one camera", pystac.Extent.from_items([]))
    catalog.add_child(collection)
    names = ("blue", "green", "red", "nir")
    assets = {
        "one/whole": {"pan": ("p.tif", ["pan"]), "multispectral": ("m.tif", names)},
        "parts": {"P": ("p.tif", ["pan"]), **{name[0]: (f"{name}.tif", [name]) for name in names}},
        "none": {"pan": ("p.tif", ["pan"])},
    }
    for number, (name, files) in enumerate(assets.items(), 1):
        item = pystac.Item(name, None, None, datetime(2020, 1, number, tzinfo=UTC), {})
        for key, (file, bands) in files.items():
            fields = {"eo:bands": [{"name": band, "common_name": band} for band in bands]}
            item.add_asset(key, pystac.Asset(file, extra_fields=fields))
        collection.add_item(item)
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


class TestStac:
    def test_items_with_pan_and_ms_are_scenes(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        found = {scene.name: scene for scene in read(write_stac(tmp_path))}
        assert found.keys() == {"one_whole", "parts"}
        assert "1 of 3 items" in caplog.text
        whole, parts = found["one_whole"], found["parts"]
        assert whole.item is not None and Path(whole.item).is_file()
        assert (whole.pan, whole.ms) == (
            str(Path(whole.item).with_name("p.tif")),
            (str(Path(whole.item).with_name("m.tif")),),
        )
        assert [Path(ms).name for ms in parts.ms] == ["blue.tif", "green.tif", "red.tif", "nir.tif"]
        assert parts.bands == whole.bands == ("blue", "green", "red", "nir")
        assert (whole.acquired, parts.acquired) == ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z")

    def test_the_folder_of_a_catalogue_is_that_catalogue(self, tmp_path: Path):
        assert read(write_stac(tmp_path)) == read(tmp_path)

    def test_assets_can_be_named(self, tmp_path: Path):
        found = read(write_stac(tmp_path), pan_asset="P", ms_assets=("r", "n"))
        assert [(scene.name, [Path(ms).name for ms in scene.ms]) for scene in found] == [
            ("parts", ["red.tif", "nir.tif"])
        ]

    def test_an_item_collection_lies_where_its_file_does(self, tmp_path: Path):
        catalog = pystac.Catalog.from_file(str(write_stac(tmp_path / "c")))
        items = [item.to_dict(include_self_link=False) for item in catalog.get_items(recursive=True)]
        path = tmp_path / "items.json"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
        assert {str(Path(scene.pan).parent) for scene in read(path)} == {str(tmp_path)}

    @pytest.mark.parametrize("text", ['{"type": "Catalog"}', '{"type": "Feature", "stac_version": "1.0.0"}'])
    def test_damaged_files_are_refused(self, tmp_path: Path, text: str):
        path = tmp_path / "catalog.json"
        path.write_text(text)
        with pytest.raises(SceneError, match=r"catalog\.json: not a STAC catalogue"):
            read(path)
