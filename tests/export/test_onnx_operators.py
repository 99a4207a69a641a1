"""The operators of libbnnpan in ONNX Runtime, one by one: they compute what their functions do, or refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import FunctionProto, ModelProto, TensorProto, helper, numpy_helper
from reference_network import random_weights

from bnnpan_export import onnx_functions as functions
from bnnpan_export.onnx_nodes import DOMAIN, opset_imports
from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.graph.libbnnpan import library_path
from bnnpan_runtime.weights import TRUNK_TENSORS

Float32 = NDArray[np.float32]


def assert_same_but_for_signs(found: Float32, expected: Float32) -> None:
    """Sums rounded in another order differ in their last bits, and now and then a sign tips over."""
    difference = np.abs(found - expected)
    assert np.median(difference) < 2e-6
    assert np.mean(difference > 1e-4) < 0.02
    assert difference.max() < 0.1


class Network:
    """Random weights of a trunk, and graphs of one operator each, whose tensors are named as its inputs."""

    def __init__(self, channels: int = 8, outer_skip: int = 0) -> None:
        shape = NetworkShape(4, 4, channels, 2, 8, 2, bool(outer_skip), "linear")
        weights = random_weights(shape, seed=channels)
        parameters = np.stack([weights[f"trunk.{name}"] for name in TRUNK_TENSORS], axis=1)
        self.weights = {"bits": weights["trunk.bits"], "parameters": parameters}
        self.attributes = {
            "channels": channels,
            "blocks": shape.blocks,
            "outer_skip": outer_skip,
            "norm_epsilon": 1e-6,
        }
        self._random = np.random.default_rng(channels)
        gain, offset = 0.1 * self.normal(2, shape.blocks, channels)
        self.affines = np.stack([1 + gain, offset], axis=1)

    def normal(self, *shape: int) -> Float32:
        return self._random.standard_normal(shape).astype(np.float32)

    def trunk(self, stored: bool = True, **changes: object) -> ModelProto:
        """`stored` weights are initialisers, others inputs of the graph."""
        function = functions.binary_trunk(self.attributes["blocks"], bool(self.attributes["outer_skip"]))
        return one_node(function, self.weights, stored, {**self.attributes, **changes})

    def block(self, stored: bool = True) -> ModelProto:
        attributes = {name: self.attributes[name] for name in ("channels", "norm_epsilon")}
        return one_node(functions.binary_block(), self.block_weights(), stored, attributes)

    def block_weights(self) -> dict[str, NDArray[Any]]:
        return {name: value[0] for name, value in self.weights.items()}


def one_node(
    function: FunctionProto, weights: dict[str, NDArray[Any]], stored: bool, attributes: dict[str, object]
) -> ModelProto:
    node = helper.make_node(function.name, function.input, function.output, domain=DOMAIN, **attributes)
    values = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    given = [
        helper.make_tensor_value_info(name, TensorProto.UINT8 if name == "bits" else TensorProto.FLOAT, None)
        for name in function.input
        if not (stored and name in weights)
    ]
    result = helper.make_tensor_value_info(function.output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "one_node", given, [result], values if stored else [])
    used = [functions.haar(), functions.inverse_haar(), functions.unpack_signs(), functions.binary_block()]
    used += [function] if function.name != "BinaryBlock" else []
    model = helper.make_model(graph, opset_imports=opset_imports(), functions=used)
    model.ir_version = 8
    return model


def session(model: ModelProto, kernels: bool = True) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if kernels:
        options.register_custom_ops_library(str(library_path()))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def both(model: ModelProto, **feed: NDArray[Any]) -> tuple[Float32, Float32]:
    """With kernels, and stock."""
    return session(model).run(None, feed)[0], session(model, kernels=False).run(None, feed)[0]


@pytest.mark.parametrize("outer_skip", [0, 1])
@pytest.mark.parametrize("channels", [1, 8, 24, 32, 40, 64, 128])
def test_binary_trunk_equals_its_function(channels: int, outer_skip: int):
    network = Network(channels, outer_skip)
    model = network.trunk()
    for count, height, width in [(1, 2, 2), (2, 6, 34), (3, 38, 22)]:
        features = network.normal(count, channels, height, width)
        assert_same_but_for_signs(*both(model, features=features, affines=network.affines))


@pytest.mark.parametrize("channels", [8, 24, 32, 40, 64, 128])
def test_binary_block_equals_its_function_on_sub_bands_of_any_size(channels: int):
    network = Network(channels)
    for count, height, width in [(1, 1, 1), (2, 3, 17), (2, 19, 5)]:
        sub_bands = network.normal(count, 4, channels, height, width)
        assert_same_but_for_signs(*both(network.block(), sub_bands=sub_bands))


def test_weights_that_are_no_initialisers_give_the_same_bits():
    network = Network(40)
    features, sub_bands = network.normal(2, 40, 6, 8), network.normal(2, 4, 40, 3, 5)
    feed = {"features": features, "affines": network.affines}
    expected = session(network.trunk()).run(None, feed)[0]
    given = session(network.trunk(stored=False)).run(None, feed | network.weights)[0]
    assert np.array_equal(given, expected)
    expected = session(network.block()).run(None, {"sub_bands": sub_bands})[0]
    feed = {"sub_bands": sub_bands, **network.block_weights()}
    assert np.array_equal(session(network.block(stored=False)).run(None, feed)[0], expected)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("channels", 0),
        ("channels", 257),
        ("blocks", 0),
        ("blocks", 17),
        ("outer_skip", 2),
        ("norm_epsilon", 1e-5),
    ],
)
def test_attributes_the_kernels_do_not_know_are_refused_by_name(attribute: str, value: float):
    with pytest.raises(Exception, match=f"BinaryTrunk: {attribute} is {value:g}, must be"):
        session(Network().trunk(**{attribute: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 9}, r"bits have shape \(2, 4, 8, 3, 3, 4\), must be \(2, 4, 9, 3, 3, 4\)"),
        ({"blocks": 3}, r"bits have shape \(2, 4, 8, 3, 3, 4\), must be \(3, 4, 8, 3, 3, 4\)"),
    ],
)
def test_weights_of_another_shape_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(Exception, match=message):
        session(Network().trunk(**changes))


@pytest.mark.parametrize(
    ("features", "affines", "message"),
    [
        ((1, 8, 3, 8), (2, 2, 8), r"features have shape \(1, 8, 3, 8\), must be \(n, 8, height, width\)"),
        ((1, 8, 8, 0), (2, 2, 8), r"features have shape \(1, 8, 8, 0\)"),
        ((1, 9, 8, 8), (2, 2, 8), r"features have shape \(1, 9, 8, 8\)"),
        ((1, 8, 8, 32770), (2, 2, 8), r"features have shape .*, both even, 2 to 32768"),
        ((1, 8, 8, 8), (1, 2, 8), r"affines have shape \(1, 2, 8\), must be \(2, 2, 8\)"),
        ((1, 8, 8, 8), (2, 2, 9), r"affines have shape \(2, 2, 9\), must be \(2, 2, 8\)"),
    ],
)
def test_inputs_of_another_shape_are_refused_and_the_session_goes_on(
    features: tuple[int, ...], affines: tuple[int, ...], message: str
):
    network = Network()
    running = session(network.trunk())
    with pytest.raises(Exception, match=f"BinaryTrunk: {message}"):
        running.run(
            None, {"features": np.zeros(features, np.float32), "affines": np.zeros(affines, np.float32)}
        )
    running.run(None, {"features": network.normal(1, 8, 4, 4), "affines": network.affines})


def test_no_images_are_no_error():
    network = Network()
    found = session(network.trunk()).run(
        None, {"features": np.empty((0, 8, 4, 4), np.float32), "affines": network.affines}
    )
    assert found[0].shape == (0, 8, 4, 4)
