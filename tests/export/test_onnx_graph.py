from __future__ import annotations

import os
import re

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from bnnpan.model import BNNPan, ModelConfig
from bnnpan_export.freeze import freeze
from bnnpan_export.onnx_graph import fuse_graph, serialised, stacked_parameters
from bnnpan_export.untrained import random_network
from bnnpan_runtime.weights import TRUNK_TENSORS

from .conftest import SMALL, VARIANTS, images

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def session(content: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def reference(model: BNNPan, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        method = model.fuse if len(inputs) == 3 else model.calibrate
        return method(*map(torch.from_numpy, inputs)).numpy()


def test_fuse_graph_gives_the_product_of_the_network_for_windows_of_any_even_size(
    config: ModelConfig,
) -> None:
    model = random_network(config)
    fuse = session(serialised(fuse_graph(freeze(model), {})))
    affines = reference(model, *images(config.bands, 16, 16, count=4))
    for height, width in ((64, 64), (38, 90), (2, 2)):
        pan, lms = images(config.bands, height, width)
        product = fuse.run(["hrms"], {"pan": pan, "lms": lms, "affines": affines})[0]
        differences = np.abs(product - reference(model, pan, lms, affines))
        assert np.sqrt(np.mean(differences**2)) < 1e-5, (height, width)
        assert np.mean(differences > 1e-4) < 2e-3, (height, width)


def test_whole_network_is_one_node_that_carries_all_a_kernel_needs() -> None:
    network = freeze(random_network(VARIANTS["outer_skip"]))
    graph = fuse_graph(network, {"id": "bgrn-x4"}).graph
    (node,) = graph.node
    assert (node.domain, node.op_type) == ("ai.bnnpan", "Fuse")
    trunk, filters = (
        ["trunk.bits", "trunk.parameters"],
        ["head.weight", "head.bias", "tail.weight", "tail.bias"],
    )
    assert list(node.input) == ["pan", "lms", "affines", *trunk, *filters]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert (attributes["blocks"], attributes["channels"], attributes["outer_skip"]) == (2, 8, 1)
    assert attributes["norm_epsilon"] == np.float32(1e-6)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert np.array_equal(stored["trunk.bits"], network["trunk.bits"])
    assert np.array_equal(stored["trunk.parameters"], stacked_parameters(network))


def test_file_states_the_oldest_versions_that_can_hold_it_and_what_it_is_for() -> None:
    properties = {"id": "bgrn-x4", "ratio": "4"}
    content = serialised(fuse_graph(freeze(random_network(SMALL)), properties))
    assert content == serialised(fuse_graph(freeze(random_network(SMALL)), properties))
    model = onnx.load_from_string(content)
    assert model.ir_version == 8
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "ai.bnnpan": 1}
    properties |= {"operator": "ai.bnnpan::Fuse"}
    assert {entry.key: entry.value for entry in model.metadata_props} == properties
    assert session(content).get_modelmeta().custom_metadata_map == properties


def test_weights_take_little_more_than_a_bit_each() -> None:
    config = ModelConfig(channels=64, blocks=4)
    graph = fuse_graph(freeze(random_network(config)), {}).graph
    (bits,) = (tensor for tensor in graph.initializer if tensor.name == "trunk.bits")
    assert 8 * len(bits.raw_data) == 4 * 4 * 64 * 64 * 9


def test_checker_and_strict_shape_inference_find_nothing_and_sizes_stay_open(config: ModelConfig) -> None:
    model = fuse_graph(freeze(random_network(config)), {})
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.input, *inferred.graph.output]
    }
    assert shapes["pan"] == [1, 1, "height", "width"]
    assert shapes["lms"] == shapes["hrms"] == [1, config.bands, "height", "width"]
    assert shapes["affines"] == [config.blocks, 2, config.channels]


def test_every_node_and_tensor_has_a_name_that_means_something(config: ModelConfig) -> None:
    model = fuse_graph(freeze(random_network(config)), {})
    for body in (model.graph, *model.functions):
        names = [output for node in body.node for output in node.output]
        assert len(set(names)) == len(names), body.name
        for node in body.node:
            assert node.name == node.output[0] and node.name.isidentifier(), node
            numbered = re.fullmatch(r"([a-z0-9]+)_\d+", node.name)
            about = node.op_type in ("Constant", "Add") or numbered is None
            assert about and node.name.lower() != node.op_type.lower(), node.name


def test_the_whole_file_takes_little_more_than_a_bit_per_binary_weight() -> None:
    config = ModelConfig(channels=64, blocks=4)
    network = freeze(random_network(config))
    content = serialised(fuse_graph(network, {}))
    floats = sum(
        value.size for name, value in network.tensors.items() if name.startswith(("head.", "tail."))
    ) + sum(network[f"trunk.{name}"].size for name in TRUNK_TENSORS)
    weights = config.blocks * 4 * 9 * config.channels**2
    assert 8 * (len(content) - 4 * floats) / weights < 1.2
