"""`bnnpan inspect --graph`: the network as a table and as a drawing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from command_line import ok, refusal, run
from hypothesis import example, given
from hypothesis import strategies as st

from bnnpan_runtime.architecture import Layer, calibration_layers, fusion_layers, sum_of
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli.graph_svg import graph_svg
from bnnpan_runtime.contract import NetworkShape

NAMESPACE = "{http://www.w3.org/2000/svg}"

networks = st.builds(
    NetworkShape,
    bands=st.integers(1, 64),
    ratio=st.integers(2, 16),
    channels=st.integers(1, 1024),
    blocks=st.integers(1, 12),
    latent=st.integers(1, 128),
    prior_steps=st.integers(1, 8),
    outer_skip=st.booleans(),
    pooled_encoder=st.sampled_from(["linear", "rectified"]),
)


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{NAMESPACE}text")]


def test_the_table_shows_every_layer_and_the_json_the_same():
    table = ok("inspect", "bgrn-x4", "--graph")
    names = [line.split()[1] for line in table.splitlines() if line.startswith(("  |", "  v"))]
    assert names.count("block") == 4 and {"LMS", "head", "Haar", "tail", "encoder", "cdc"} <= set(names)
    assert "147,456" in table, "all binary weights"
    value = json.loads(ok("inspect", "bgrn-x4", "--graph", "--json"))
    assert len(value["per_pan_pixel"]) + len(value["per_scene"]) == len(names)


@given(networks)
def test_the_drawing_names_every_layer_with_its_bits_and_its_work(bundle: Bundle, network: NetworkShape):
    manifest = replace(bundle.manifest, network=network)
    words = texts(graph_svg(manifest))
    for layers in (fusion_layers(network), calibration_layers(network, manifest.calibration)):
        for layer in (*layers, sum_of(layers)):
            assert layer.name in words or layer.name == "sum"
            assert figures(layer) <= set(words)


def figures(layer: Layer) -> set[str]:
    stored = [(layer.binary_bits, "bits"), (layer.float_bits / 32, "floats")]
    macs = [(layer.binary_macs, "binary"), (layer.float_macs, "float")]
    return {" + ".join(f"{n:,.0f} {unit}" for n, unit in pairs if n) for pairs in (stored, macs)} - {""}


@given(networks)
def test_everything_drawn_lies_on_the_paper(bundle: Bundle, network: NetworkShape):
    root = ElementTree.fromstring(graph_svg(replace(bundle.manifest, network=network)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        left, top = float(element.get("x", 0)), float(element.get("y", 0))
        if element.tag != f"{NAMESPACE}svg":
            assert 0 <= left <= left + float(element.get("width", 0)) <= width
            assert 0 <= top <= top + float(element.get("height", 0)) <= height


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=128))
@example("\ufffe & \uffff")
def test_a_name_is_text_whatever_it_says(bundle: Bundle, name: str):
    words = texts(graph_svg(replace(bundle.manifest, id=f"<script>{name}")))
    assert any(word.startswith("<script>") for word in words)


def test_the_drawing_is_a_file(tmp_path: Path):
    path = tmp_path / "network.svg"
    ok("inspect", "bgrn-x4", "--graph", path)
    assert "bgrn-x4" in texts(path.read_text())


def test_a_file_that_is_no_drawing_is_wrong_usage(tmp_path: Path):
    precious = tmp_path / "precious.bnnpan"
    precious.write_text("precious")
    result = run("inspect", "bgrn-x4", "--graph", precious)
    assert result.exit_code == 2 and ".svg" in result.stderr
    assert precious.read_text() == "precious"


def test_a_drawing_that_cannot_be_written_is_one_line(tmp_path: Path):
    assert "absent" in refusal(6, "inspect", "bgrn-x4", "--graph", tmp_path / "absent" / "network.svg")


def test_the_page_about_the_exporter_shows_the_shipped_network(bundle: Bundle, repo_root: Path):
    kept = repo_root / "docs" / "figures" / "network.svg"
    assert kept.read_text() == graph_svg(bundle.manifest), f"bnnpan inspect bgrn-x4 --graph {kept}"
