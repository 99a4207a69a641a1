"""8-bit versions of a network for ONNX Runtime: what rounding to int8 instead of to signs would gain.

For their speed only: scales are not calibrated, so values mean nothing. Activations are uint8 and weights
int8, the combination for which ONNX Runtime has fast kernels on x86.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from bnnpan_export.bench.onnx_session import layered
from bnnpan_export.onnx_graph import IR_VERSION
from bnnpan_export.onnx_nodes import NodeList, opset_imports
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import NetworkShape

__all__ = ["convolutions_only", "quantised"]

_SUB_BANDS = 4
_PADS: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


def quantised(bundle: Bundle) -> ModelProto:
    """`fuse.onnx` with every convolution, and only those, in 8 bits.

    In the trunk the signs become uint8 where they are made, so that no pass over the image is added.
    """
    model = layered(bundle.read("fuse.onnx"))
    for function in model.functions:
        if function.name == "BinaryBlock":
            _substitute(function.node, _quantised_block_node)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    _substitute(model.graph.node, lambda body, node: _quantised_convolution(body, node, constants))
    return model


def convolutions_only(shape: NetworkShape) -> ModelProto:
    """The convolutions back to back in 8 bits and nothing in between: a bound for any int8 version."""
    channels, bands = shape.channels, shape.bands
    body, random = NodeList(), np.random.default_rng(0)

    def convolve(x: str, outputs: int, inputs: int, groups: int = 1) -> str:
        weight = random.integers(-127, 128, (outputs, inputs, 3, 3), np.int8)
        return _convolve(body, x, body.constant(weight, np.int8), groups)

    x = body.add("QuantizeLinear", body.add("Concat", "lms", "pan", axis=1), *_scale(body))
    x = convolve(x, channels, bands + 1)
    size = body.add("Shape", x)
    # Same sizes as after a Haar transform, at no cost.
    half = body.add("Div", size, body.integers(1, 1, 2, 2))
    x = body.add("Reshape", x, body.add("Mul", half, body.integers(1, _SUB_BANDS, 1, 1)))
    for _ in range(shape.blocks):
        x = convolve(x, _SUB_BANDS * channels, channels, _SUB_BANDS)
    x = convolve(body.add("Reshape", x, size), bands, channels)
    body.add("Add", body.add("DequantizeLinear", x, *_scale(body)), "lms", output="hrms")
    graph = helper.make_graph(
        body.nodes,
        "convolutions",
        [_image("pan", 1), _image("lms", bands)],
        [_image("hrms", bands)],
    )
    model = helper.make_model(graph, opset_imports=opset_imports())
    model.ir_version = IR_VERSION
    return model


def _substitute(nodes: Any, rewrite: Callable[[NodeList, NodeProto], None]) -> None:
    """Replace the nodes of a graph or function for which `rewrite` adds others, with names told apart."""
    result: list[NodeProto] = []
    for node in nodes:
        body = NodeList()
        rewrite(body, node)
        result += _prefixed(body.nodes, node.output[0]) if body.nodes else [node]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in result]
    del nodes[:]
    nodes.extend(copies)


def _prefixed(nodes: Sequence[NodeProto], output: str) -> Sequence[NodeProto]:
    own = {name for node in nodes for name in node.output} - {output}
    for node in nodes:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [f"{output}/{name}" if name in own else name for name in names]
    return nodes


def _quantised_block_node(body: NodeList, node: NodeProto) -> None:
    """Signs are 0 and 2 around zero point 1 instead of -1 and 1, and their convolution is in 8 bits."""
    if node.op_type == "Where":
        signs = (body.constant(value, np.uint8) for value in (0, 2))
        body.add("Where", node.input[0], *signs, output=node.output[0])
    if node.op_type == "Conv":
        one, zero = body.floats(1), body.constant(0, np.int8)
        weight = body.add("Cast", node.input[1], to=TensorProto.INT8)
        operands = (node.input[0], one, body.constant(1, np.uint8), weight, one, zero, *_scale(body))
        sums = body.add("QLinearConv", *operands, group=_SUB_BANDS, **_PADS)
        body.add("DequantizeLinear", sums, *_scale(body), output=node.output[0])


def _quantised_convolution(body: NodeList, node: NodeProto, constants: Mapping[str, NDArray[Any]]) -> None:
    if node.op_type != "Conv":
        return
    weight = constants[node.input[1]]
    steps = np.rint(weight * (127 / np.abs(weight).max()))
    x = body.add("QuantizeLinear", node.input[0], *_scale(body))
    y = _convolve(body, x, body.constant(steps, np.int8), 1)
    body.add("DequantizeLinear", y, *_scale(body), output=node.output[0])


def _convolve(body: NodeList, x: str, weight: str, groups: int) -> str:
    weights = (weight, body.floats(1 / 127), body.constant(0, np.int8))
    return body.add("QLinearConv", x, *_scale(body), *weights, *_scale(body), group=groups, **_PADS)


def _scale(body: NodeList) -> tuple[str, str]:
    return body.floats(1 / 32), body.constant(128, np.uint8)


def _image(name: str, channels: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, channels, "height", "width"))
