"""The two ONNX graphs of a bundle: `calibrate.onnx`, run once per scene, and `fuse.onnx`, run per tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from bnnpan.model.nbc import NORM_EPSILON
from bnnpan.model.pibf import STD_EPSILON
from bnnpan.model.prior import LEAK
from bnnpan_export import onnx_functions as functions
from bnnpan_export.freeze import FrozenNetwork
from bnnpan_export.onnx_nodes import DOMAIN, NodeList, opset_imports
from bnnpan_runtime.weights import TRUNK_TENSORS

__all__ = ["calibrate_graph", "fuse_graph", "serialised"]

IR_VERSION = 8
"""Of the file format: the oldest that carries functions; newer readers take it as well."""

_PADS = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


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


def calibrate_graph(network: FrozenNetwork, properties: Mapping[str, str]) -> ModelProto:
    """Patches of a scene, PAN `(k, 1, h, w)`, LMS `(k, bands, h, w)`, to affines `(blocks, 2, channels)`."""
    shape = network.shape
    body = NodeList()
    image = body.add("Concat", "lms", "pan", axis=1, output="image")
    prior = _prior(body, network, image)
    x = body.add("Conv", image, "head.weight", "head.bias", output="head", **_PADS)
    affines = []
    for block in range(shape.blocks):
        y = _block_in_pixels(body, network, block, x)
        gain, offset = _affine(body, block, y, prior)
        affines += [gain, offset]
        if block + 1 < shape.blocks:
            x = _apply(body, y, gain, offset)
    flat = body.add("Concat", *affines, axis=0)
    body.add("Reshape", flat, body.integers(shape.blocks, 2, shape.channels), output="affines")
    return _model(
        "calibrate",
        body,
        inputs=[
            _tensor("pan", "patches", 1, "height", "width"),
            _tensor("lms", "patches", shape.bands, "height", "width"),
        ],
        outputs=[_tensor("affines", shape.blocks, 2, shape.channels)],
        tensors={
            **_named(network, "head.", "trunk.bits", "ldpc.", "cdc.", "encoder.", "denoiser."),
            "trunk.parameters": stacked_parameters(network),
            "diffusion.latent_start": network["diffusion.latent_start"],
        },
        used=[
            functions.haar(),
            functions.inverse_haar(),
            functions.unpack_signs(),
            functions.binary_block(),
        ],
        properties=properties,
    )


def serialised(model: ModelProto) -> bytes:
    """Checked and in bytes; the same model gives the same bytes."""
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def stacked_parameters(network: FrozenNetwork) -> NDArray[np.float32]:
    """Per-channel parameters of the trunk, `(blocks, 8, 4, channels)`, in the order of `TRUNK_TENSORS`."""
    return np.stack([network[f"trunk.{name}"] for name in TRUNK_TENSORS], axis=1).astype(np.float32)


def _prior(body: NodeList, network: FrozenNetwork, image: str) -> str:
    """The scene's latent prior z^ `(latent, 1)`: condition vector, then the whole reverse chain."""
    shape = network.shape
    features = body.add("Conv", image, "encoder.conv.weight", "encoder.conv.bias", output="encoder", **_PADS)
    if shape.pooled_encoder == "rectified":
        features = body.add("LeakyRelu", features, alpha=LEAK)
    pooled = body.add("ReduceMean", features, body.integers(0, 2, 3), keepdims=0)
    condition = _two_layers(body, "encoder", body.add("LeakyRelu", pooled, alpha=LEAK))
    latent = "diffusion.latent_start"
    for step in range(shape.prior_steps, 0, -1):
        time = body.floats([step / (10 * shape.prior_steps)])
        estimate = _two_layers(body, "denoiser", body.add("Concat", latent, time, condition, axis=0))
        kept = body.add("Mul", latent, body.floats(network["diffusion.latent_gain"][step - 1]))
        change = body.add("Mul", estimate, body.floats(network["diffusion.estimate_gain"][step - 1]))
        latent = body.add("Add", kept, change, output=f"latent_{step - 1}")
    return latent


def _two_layers(body: NodeList, name: str, x: str) -> str:
    hidden = _linear(body, f"{name}.hidden.weight", f"{name}.hidden.bias", x)
    return _linear(body, f"{name}.out.weight", f"{name}.out.bias", body.add("LeakyRelu", hidden, alpha=LEAK))


def _linear(body: NodeList, weight: str, bias: str, x: str) -> str:
    return body.add("Add", body.add("MatMul", weight, x), bias)


def _block_in_pixels(body: NodeList, network: FrozenNetwork, block: int, x: str) -> str:
    sub_bands = body.add(f"{DOMAIN}::Haar", x)
    operands = [body.part(name, block) for name in ("trunk.bits", "trunk.parameters")]
    y = body.add(
        f"{DOMAIN}::BinaryBlock",
        *(sub_bands, *operands),
        channels=network.shape.channels,
        norm_epsilon=NORM_EPSILON,
    )
    y = body.add(f"{DOMAIN}::InverseHaar", y)
    return body.add("Add", y, x) if network.shape.outer_skip else y


def _affine(body: NodeList, block: int, y: str, prior: str) -> tuple[str, str]:
    """LDPC and CDC as one affine per channel: gain and offset `(channels,)`."""
    both = _linear(body, body.part("ldpc.weight", block), body.part("ldpc.bias", block), prior)
    z_w, z_b = body.add_split("Split", both, outputs=[f"z_w_{block}", f"z_b_{block}"], axis=0, num_outputs=2)
    statistics = _scene_statistics(body, _apply(body, y, z_w, z_b))
    linear = _linear(body, body.part("cdc.weight", block), body.part("cdc.bias", block), statistics)
    weight = body.add("Sigmoid", linear)
    gain = body.add("Add", body.add("Mul", weight, z_w), body.floats(1), output=f"gain_{block}")
    return gain, body.add("Mul", weight, z_b, output=f"offset_{block}")


def _scene_statistics(body: NodeList, x: str) -> str:
    """Mean magnitude, mean and deviation of each channel over all patches, `(3 channels,)`."""
    axes = body.integers(0, 2, 3)
    magnitude = body.add("ReduceMean", body.add("Abs", x), axes, keepdims=0)
    mean = body.add("ReduceMean", x, axes, keepdims=0)
    square = body.add("ReduceMean", body.add("Mul", x, x), axes, keepdims=0)
    variance = body.add("Relu", body.add("Sub", square, body.add("Mul", mean, mean)))
    deviation = body.add("Sqrt", body.add("Add", variance, body.floats(STD_EPSILON)))
    return body.add("Concat", magnitude, mean, deviation, axis=0)


def _apply(body: NodeList, x: str, gain: str, offset: str) -> str:
    axes = body.integers(1, 2)
    scaled = body.add("Mul", x, body.add("Unsqueeze", gain, axes))
    return body.add("Add", scaled, body.add("Unsqueeze", offset, axes))


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
