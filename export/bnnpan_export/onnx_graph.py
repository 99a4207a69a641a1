"""The ONNX graph of a bundle, `fuse.onnx`: one node, which has everything in it but a scene's affines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from bnnpan.model.nbc import NORM_EPSILON
from bnnpan_export import onnx_functions as functions
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.onnx_nodes import DOMAIN, NodeList, opset_imports
from bnnpan_runtime.weights import TRUNK_TENSORS

__all__ = ["fuse_graph", "serialised", "stacked_parameters"]

IR_VERSION = 8
"""Of the file format: the oldest that carries functions; newer readers take it as well."""


def fuse_graph(network: FrozenNetwork, properties: Mapping[str, str]) -> ModelProto:
    """PAN `(1, 1, height, width)`, LMS `(1, bands, height, width)`, affines `(blocks, 2, channels)` to HRMS.

    Network units, height and width even. One node does it all, `ai.bnnpan::Fuse`, and the property
    `operator` says so to the runtime. `properties` become the model's metadata, too.
    """
    shape = network.shape
    body = NodeList()
    body.add(
        f"{DOMAIN}::Fuse",
        *("pan", "lms", "affines", "trunk.bits", "trunk.parameters"),
        *("head.weight", "head.bias", "tail.weight", "tail.bias"),
        output="hrms",
        channels=shape.channels,
        blocks=shape.blocks,
        outer_skip=int(shape.outer_skip),
        norm_epsilon=NORM_EPSILON,
    )
    used = [functions.haar(), functions.inverse_haar(), functions.unpack_signs(), functions.binary_block()]
    return _model(
        "fuse",
        body,
        inputs=[
            _tensor("pan", 1, 1, "height", "width"),
            _tensor("lms", 1, shape.bands, "height", "width"),
            _tensor("affines", shape.blocks, 2, shape.channels),
        ],
        outputs=[_tensor("hrms", 1, shape.bands, "height", "width")],
        tensors={
            **_named(network, "head.", "tail.", "trunk.bits"),
            "trunk.parameters": stacked_parameters(network),
        },
        used=[*used, functions.binary_trunk(shape.blocks, shape.outer_skip), functions.fuse()],
        properties={**properties, "operator": f"{DOMAIN}::Fuse"},
    )


def serialised(model: ModelProto) -> bytes:
    """Checked and in bytes; the same model gives the same bytes."""
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def stacked_parameters(network: FrozenNetwork) -> NDArray[np.float32]:
    """Per-channel parameters of the trunk, `(blocks, 8, 4, channels)`, in the order of `TRUNK_TENSORS`."""
    return np.stack([network[f"trunk.{name}"] for name in TRUNK_TENSORS], axis=1).astype(np.float32)


def _named(network: FrozenNetwork, *starts: str) -> dict[str, NDArray[np.generic]]:
    return {name: value for name, value in network.tensors.items() if name.startswith(starts)}


def _tensor(name: str, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(
    name: str,
    body: NodeList,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    tensors: Mapping[str, NDArray[np.generic]],
    used: Sequence[FunctionProto],
    properties: Mapping[str, str],
) -> ModelProto:
    stored = [
        numpy_helper.from_array(value if value.dtype == np.uint8 else value.astype(np.float32), key)
        for key, value in sorted(tensors.items())
    ]
    graph = helper.make_graph(body.nodes, name, list(inputs), list(outputs), stored)
    model = helper.make_model(
        graph, producer_name="bnnpan", opset_imports=opset_imports(), functions=list(used)
    )
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(sorted(properties.items())))
    return model
