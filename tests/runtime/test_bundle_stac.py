"""`bnnpan bundle stac`: what a catalogue says of a bundle is valid, and true."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from command_line import ok, refusal
from hypothesis import given
from hypothesis import strategies as st
from stac_items import validate_item

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.stac.model import model_item
from bnnpan_runtime.weights import weights_layout

import jsonschema  # isort: skip  # `stac_items` has seen to it

Item = dict[str, Any]

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


@pytest.fixture(scope="module")
def item(bundle: Bundle) -> Item:
    return model_item(bundle, "./bgrn-x4.bnnpan")


def test_the_item_of_the_shipped_bundle_is_valid(item: Item):
    validate_item(item)


@given(
    st.builds(dict, id=names, sensor=names, units=st.sampled_from(["bit_depth", "scene"])),
    st.lists(names, min_size=1, max_size=8),
    st.dictionaries(st.just("data"), st.one_of(st.none(), st.lists(st.one_of(names, st.integers())))),
)
def test_the_item_of_any_manifest_is_valid(
    bundle: Bundle, fields: dict[str, Any], roles: list[str], provenance: dict[str, Any]
):
    network = replace(bundle.manifest.network, bands=len(roles))
    manifest = replace(
        bundle.manifest, network=network, band_roles=tuple(roles), provenance=provenance, **fields
    )
    validate_item(model_item(replace(bundle, manifest=manifest), "https://example.com/any.bnnpan"))


def properties(item: Item) -> Item:
    return item["properties"]


def model(item: Item) -> Item:
    return item["assets"]["model"]


DEFECTS: dict[str, Callable[[Item], Any]] = {
    "no name": lambda item: properties(item).pop("mlm:name"),
    "a name that ends with a dot": lambda item: properties(item).update({"mlm:name": "BNNPan."}),
    "an unknown task": lambda item: properties(item).update({"mlm:tasks": ["pan-sharpening"]}),
    "an unknown field": lambda item: properties(item).update({"mlm:kernels": "native"}),
    "an unknown accelerator": lambda item: properties(item).update({"mlm:accelerator": "NEON"}),
    "a fraction of a byte": lambda item: properties(item).update({"mlm:memory_size": 1.5}),
    "an input without a shape": lambda item: properties(item)["mlm:input"][0]["input"].pop("shape"),
    "an unknown type": lambda item: properties(item)["mlm:output"][0]["result"].update(data_type="float24"),
    "a scale without a value": lambda item: properties(item)["mlm:input"][0]["value_scaling"][0].pop("value"),
    "no role": lambda item: model(item).update(roles=["data"]),
    "no kind of model": lambda item: model(item).pop("mlm:artifact_type"),
    "a negative size": lambda item: model(item).update({"file:size": -1}),
    "a checksum in capitals": lambda item: model(item).update({"file:checksum": "1220AB"}),
    "no time": lambda item: properties(item).pop("start_datetime"),
    "a place without a box": lambda item: item.pop("bbox"),
    "an open ring": lambda item: item["geometry"]["coordinates"][0].__delitem__(slice(2, None)),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_validation_finds(item: Item, defect: str):
    broken = copy.deepcopy(item)
    DEFECTS[defect](broken)
    with pytest.raises(jsonschema.ValidationError):
        validate_item(broken)


def test_the_network_is_described_as_its_graph_has_it(bundle: Bundle, item: Item):
    graph = onnxruntime.InferenceSession(bundle.read("fuse.onnx"), providers=["CPUExecutionProvider"])

    def sizes(tensors: Any) -> dict[str, list[int]]:
        return {it.name: [size if isinstance(size, int) else -1 for size in it.shape] for it in tensors}

    described = properties(item)
    assert {it["name"]: it["input"]["shape"] for it in described["mlm:input"]} == sizes(graph.get_inputs())
    assert {it["name"]: it["result"]["shape"] for it in described["mlm:output"]} == sizes(graph.get_outputs())


def test_every_sign_and_every_float_is_a_parameter(bundle: Bundle, item: Item):
    network = bundle.manifest.network
    floats = sum(prod(it.shape) for it in weights_layout(network).values() if it.dtype == "float32")
    signs = network.blocks * 4 * network.channels**2 * 9
    assert properties(item)["mlm:total_parameters"] == floats + signs


def test_bands_of_the_inputs_are_bands_of_the_item_and_scaled(item: Item):
    described = properties(item)
    known = {band["name"] for band in described["bands"]}
    used = [band for it in described["mlm:input"] for band in it["bands"]]
    assert used == ["pan", "blue", "green", "red", "nir"] and set(used) == known


def test_how_dn_are_scaled_is_what_the_network_is_fed(depth_bundle: Bundle, scene_bundle: Bundle):
    def scaling(bundle: Bundle) -> Item:
        return properties(model_item(bundle, "b"))["mlm:input"][0]["value_scaling"][0]

    assert scaling(depth_bundle) == {"type": "scale", "value": depth_bundle.manifest.dn_scale}
    assert scaling(scene_bundle)["type"] == "processing"


def test_the_command_writes_an_item_that_leads_to_the_very_bundle(bundle: Bundle, tmp_path: Path):
    (tmp_path / "my bundles").mkdir()
    path = tmp_path / "my bundles" / "b.bnnpan"
    path.write_bytes(bundle.path.read_bytes())
    out = tmp_path / "item.json"
    ok("bundle", "stac", path, "--out", out)
    item = json.loads(out.read_text())
    validate_item(item)
    asset = model(item)
    assert asset["href"] == "./my%20bundles/b.bnnpan"
    assert asset["file:size"] == path.stat().st_size
    assert asset["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert "--overwrite" in refusal(6, "bundle", "stac", path, "--out", out)
    ok("bundle", "stac", path, "--out", out, "--overwrite", "--href", "https://example.com/b.bnnpan")
    assert model(json.loads(out.read_text()))["href"] == "https://example.com/b.bnnpan"


def test_without_a_file_the_command_prints_the_item():
    validate_item(json.loads(ok("bundle", "stac", "bgrn-x4")))


def test_a_damaged_bundle_is_not_described(tmp_path: Path):
    (path := tmp_path / "b.bnnpan").write_bytes(bytes(100))
    refusal(4, "bundle", "stac", path, "--out", tmp_path / "item.json")
    assert not (tmp_path / "item.json").exists()
