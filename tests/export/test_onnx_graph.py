from __future__ import annotations

import os

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
