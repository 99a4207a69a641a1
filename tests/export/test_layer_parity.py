"""Every form of a network tap by tap: a defect is found in the layer where it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import load_from_string, numpy_helper
from requirements import require_package

from bnnpan.checkpoint import save_model
from bnnpan.config import Experiment
from bnnpan_export.assemble import Exported, export_bundle
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.freeze import freeze
from bnnpan_export.graph.network import tap_names
from bnnpan_export.layer_parity import FormDistance, LayerDistance, first_deviating, layer_distances
from bnnpan_export.taps.bundle import BundleForms, bundle_forms, synthetic_tiles
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values
from bnnpan_export.taps.native_taps import native_form
from bnnpan_export.taps.onnx_taps import kernel_form, stock_form
from bnnpan_export.taps.verify import LayerReport, verify_layers
from bnnpan_export.tflite_file import operator_names, read_model, written
from bnnpan_export.tflite_lce import missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_export.weight_bits import Array
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main
from bnnpan_runtime.contract import Manifest
from bnnpan_runtime.errors import ConfigError, VerificationError
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.litert import LiteRtEngine

from .conftest import SMALL, SMALL_IDENTITY

SUB_BANDS = ("LL", "LH", "HL", "HH")


@pytest.fixture(scope="module")
def bundle(small_export: Exported, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("layers") / "small.bnnpan"
    path.write_bytes(small_export.content)
    return Bundle.open(path)


@pytest.fixture(scope="module")
def found(bundle: Bundle) -> BundleForms:
    forms = bundle_forms(bundle)
    return replace(forms, reference=replace(forms.reference, look=cache_by_name(forms.reference)))


def cache_by_name(form: Form) -> Callable[[Tile], Values]:
    known: dict[str, Values] = {}

    def look(tile: Tile) -> Values:
        if tile.name not in known:
            known[tile.name] = form.look(tile)
        return known[tile.name]

    return look


@pytest.fixture(scope="module")
def tiles(bundle: Bundle) -> list[Tile]:
    return synthetic_tiles(bundle.manifest, bundle.weights(), side=64)


def defective(value: Any) -> Any:
    """One bit of eight flipped, or a number with the other sign and larger."""
    return value ^ 1 if value.dtype == np.uint8 else -value - 0.1 * np.sign(value)


def changed(frozen: FrozenNetwork, name: str, place: tuple[int, ...]) -> FrozenNetwork:
    """One value of a tensor changed."""
    tensor = np.array(frozen[name])
    tensor[place] = defective(tensor[place])
    return replace(frozen, tensors={**frozen.tensors, name: tensor})


DEFECTS = {
    "head": ("head.weight", (3, 1, 0, 2)),
    "block 1 LH": ("trunk.bits", (0, 1, 5, 2, 2, 0)),
    "block 2 HH": ("trunk.shift", (1, 3, 4)),
    "block 2 HL": ("trunk.gamma", (1, 2, 7)),
    "block 1 HH": ("trunk.inverse_lambda", (0, 3, 0)),
    "tail": ("tail.bias", (2,)),
}


def deviations(found: BundleForms, forms: list[Form], tiles: list[Tile]) -> dict[str, str]:
    return first_deviating(layer_distances(found.reference, forms, found.frozen, tiles))


def test_every_form_is_the_reference_in_every_layer(found: BundleForms, tiles: list[Tile]) -> None:
    distances = layer_distances(found.reference, found.forms, found.frozen, tiles)
    assert {form.form for form in distances} == {"weights.safetensors", "onnx", "onnx kernels", "native"}
    for form in distances:
        assert [layer.tap for layer in form.layers] == [*tap_names(2), OUTPUT]
        assert all(layer.typical < 1e-5 for layer in form.layers), form.form
        assert sum(layer.signs for layer in form.layers) == 2 * 4 * 8 * 32 * 32
    assert first_deviating(distances) == {}


@pytest.mark.parametrize("layer", DEFECTS)
def test_a_defect_of_the_native_engines_weights_is_named(
    layer: str, found: BundleForms, tiles: list[Tile]
) -> None:
    wrong = native_form("wrong", changed(found.frozen, *DEFECTS[layer]))
    assert deviations(found, [wrong], tiles) == {"wrong": layer}


@pytest.mark.parametrize("layer", DEFECTS)
def test_a_defect_of_the_onnx_graph_is_named_with_and_without_kernels(
    layer: str, bundle: Bundle, found: BundleForms, tiles: list[Tile]
) -> None:
    content = with_defect(bundle.read("fuse.onnx"), *DEFECTS[layer])
    forms = [stock_form("stock", content), kernel_form("kernels", content, found.frozen)]
    assert deviations(found, forms, tiles) == {"stock": layer, "kernels": layer}


def with_defect(content: bytes, name: str, place: tuple[int, ...]) -> bytes:
    model = load_from_string(content)
    parameters = ("shift", "scale", "gamma", "beta", "zeta", "inverse_lambda", "phi", "eta")
    kind = name.removeprefix("trunk.")
    if kind in parameters:
        name, place = "trunk.parameters", (place[0], parameters.index(kind), *place[1:])
    (stored,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(stored).copy()
    values[place] = defective(values[place])
    stored.CopyFrom(numpy_helper.from_array(values, name))
    return bytes(model.SerializeToString())


def test_a_defect_of_the_graph_inside_a_function_is_named(
    bundle: Bundle, found: BundleForms, tiles: list[Tile]
) -> None:
    model = load_from_string(bundle.read("fuse.onnx"))
    (haar,) = (function for function in model.functions if function.name == "InverseHaar")
    (last,) = (node for node in haar.node if node.op_type == "DepthToSpace")
    last.attribute.add(name="mode", s=b"CRD", type=3)
    wrong = stock_form("wrong", bytes(model.SerializeToString()))
    assert deviations(found, [wrong], tiles) == {"wrong": "tail"}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, bytes]:
    for package in (*missing_packages(), "ai_edge_litert"):
        require_package(package)
    from bnnpan_export.tflite_lce import fuse_tflite

    config = replace(SMALL, outer_skip=True)
    path = tmp_path_factory.mktemp("tflite") / "bits.bnnpan"
    path.write_bytes(export_bundle(random_network(config), SMALL_IDENTITY, ["bits"]).content)
    return Bundle.open(path), fuse_tflite(freeze(random_network(config)))


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_defect_of_the_tflite_graph_is_named(place: int, converted: tuple[Bundle, bytes]) -> None:
    from bnnpan_export.taps.tflite_taps import tflite_form

    bundle, content = converted
    found, tiles = bundle_forms(bundle), synthetic_tiles(bundle.manifest, bundle.weights())
    wrong, layer = with_wrong_filter(content, place, found.frozen)
    forms = []
    for engine in (LarqEngine(), LiteRtEngine()):
        forms += [
            tflite_form(f"{what} {engine.name}", file, engine)
            for what, file in (("right", content), ("wrong", wrong))
        ]
    assert deviations(found, forms, tiles) == {form.name: layer for form in forms if "wrong" in form.name}


def with_wrong_filter(content: bytes, place: int, network: FrozenNetwork) -> tuple[bytes, str]:
    """One sign of the so-manieth binary convolution flipped; the layer whose weights those are."""
    model = read_model(content)
    (graph,) = model.subgraphs
    names = operator_names(model)
    convolution = [op for op, name in zip(graph.operators, names, strict=True) if name == "LceBconv2d"][place]
    buffer = model.buffers[graph.tensors[convolution.inputs[1]].buffer]
    bits = network["trunk.bits"]
    own = np.asarray(buffer.data, np.uint8).tobytes()
    (where,) = [i for i in np.ndindex(*bits.shape[:2]) if bits[i].tobytes() == own]
    data = np.array(buffer.data, np.uint8)
    data[0] ^= 1
    buffer.data = data
    return written(model), f"block {where[0] + 1} {SUB_BANDS[where[1]]}"


def test_with_the_trained_network_every_pass_is_a_form(bundle: Bundle, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", random_network(SMALL), Experiment(model=SMALL), {})
    report = verify_layers(bundle, tmp_path, None)
    names = [form.form for form in report.forms]
    assert names[:6] == [
        *("freeze scene statistics", "fold affines", "wavelet-domain rewrite", "fold thresholds"),
        *("pack bits", "weights.safetensors"),
    ]
    assert not report.deviating
    other = random_network(SMALL, seed=1)
    save_model(tmp_path / "model.safetensors", other, Experiment(model=SMALL), {})
    assert set(verify_layers(bundle, tmp_path, None).deviating.values()) == {"head"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channels": 16}, "channels 16 instead of 8"),
        ({"ratio": 2}, "ratio 2 "),
        ({"units": "scene"}, "units scene"),
    ],
)
def test_a_run_of_another_network_is_refused_with_what_differs(
    change: dict[str, Any], told: str, bundle: Bundle, tmp_path: Path
) -> None:
    config = replace(SMALL, **change)
    save_model(tmp_path / "model.safetensors", random_network(config), Experiment(model=config), {})
    with pytest.raises(ConfigError, match=told):
        verify_layers(bundle, tmp_path, None)


def test_real_tiles_are_looked_at_where_there_are_any(bundle: Bundle, shared_data: Path) -> None:
    report = verify_layers(bundle, None, shared_data / "manifest.json")
    assert len(report.tiles) == 2 and "synthetic" not in "".join(report.tiles)
    assert not report.deviating


def test_an_export_with_a_deviating_layer_fails_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold hardly moves the product of this network: only a look inside finds it."""
    wrong = changed(freeze(random_network(SMALL)), "trunk.phi", (0, 2, 1))
    monkeypatch.setattr("bnnpan_export.assemble.freeze", lambda model: wrong)
    monkeypatch.setattr("bnnpan_export.assemble.check_parity", lambda *_: None)
    with pytest.raises(VerificationError, match=r"weights\.safetensors in layer 'block 1 HL'.*nothing"):
        export_bundle(random_network(SMALL), SMALL_IDENTITY, ["bits"])


def test_the_manifest_says_how_many_signs_flip(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [LayerDistance("head", 0, 0, 3, 4000, 0), LayerDistance("tail", 0, 0, 0, 0, 0)]
    report = LayerReport("", (), (FormDistance("weights.safetensors", tuple(layers)),), {})
    monkeypatch.setattr("bnnpan_export.assemble.layer_report", lambda *_: report)
    exported = export_bundle(random_network(SMALL), SMALL_IDENTITY, ["bits"])
    parity = Manifest.from_json(exported.manifest.to_json()).parity
    assert {name: found.flipped_signs for name, found in parity.items()} == {
        "weights.safetensors": 0.00075,
        "native": 0.0,
    }


def test_nan_deviates() -> None:
    array: Array = np.full((1, 4, 4), np.nan)
    values = {name: array for name in [*tap_names(0), OUTPUT]}
    frozen = freeze(random_network(replace(SMALL, blocks=1)))
    frozen = replace(frozen, shape=replace(frozen.shape, blocks=0))
    tile = Tile("nan", array, array, array, np.ones(1))
    monkey = Form("nan", lambda tile: {**values, "head": np.full((8, 4, 4), np.nan)})
    (distance,) = layer_distances(monkey, [monkey], frozen, [tile])
    assert isinstance(distance, FormDistance) and distance.first_deviating == "head"


def has_entry_point() -> bool:
    from importlib.metadata import entry_points

    return bool(entry_points(group="bnnpan.verify", name="layers"))


@pytest.mark.skipif(not has_entry_point(), reason="the installed bnnpan is older: pip install -e . again")
def test_the_command_prints_the_table_and_names_the_layer(bundle: Bundle) -> None:
    result = CliRunner().invoke(main, ["verify", str(bundle.path), "--allow-unsigned", "--layers"])
    assert result.exit_code == 0, result.output
    assert "passed   layers" in result.output and "block 2 HH" in result.output
    result = CliRunner().invoke(main, ["verify", str(bundle.path), "--allow-unsigned", "--layers", "--json"])
    layers = json.loads(result.stdout)["layers"]
    assert layers["deviating"] == {} and layers["forms"][0]["layers"][0]["tap"] == "head"


def test_without_the_ground_side_it_says_what_is_missing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bnnpan_runtime.layer_verifier.entry_points", lambda **_: [])
    result = CliRunner().invoke(main, ["verify", str(bundle.path), "--allow-unsigned", "--layers"])
    assert result.exit_code == 7 and "bnnpan[export]" in result.output
    assert CliRunner().invoke(main, ["verify", str(bundle.path), "--data", "x"]).exit_code == 2
