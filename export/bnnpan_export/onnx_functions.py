"""The network's own operators as ONNX model-local functions of domain `ai.bnnpan`, version 1.

Any runtime that knows opset 18 can run them as they are. A runtime that registers an operator of the same
name uses that one instead: `Fuse`, `BinaryTrunk` and `BinaryBlock` have everything a kernel needs as inputs,
and libbnnpan has kernels for them.

    Haar(features) -> sub_bands                  (n, C, h, w) -> (n, 4, C, h/2, w/2), order LL, LH, HL, HH
    InverseHaar(sub_bands) -> features           its exact inverse
    UnpackSigns(bits) -> weight                  (4, C, 3, 3, bytes) uint8 to (4 C, C, 3, 3) float32, -1 and 1
    BinaryBlock(sub_bands, bits, parameters)     the four NBC units of one PIBF
    BinaryTrunk(features, bits, parameters, affines)
    Fuse(pan, lms, affines, bits, parameters, head_weight, head_bias, tail_weight, tail_bias) -> hrms

`bits` and `parameters` are those of one block in `BinaryBlock`, of all N blocks, stacked, in the other two:

    bits        uint8 (N, 4, C, 3, 3, 4 ceil(C/32)): block, sub-band, output channel, ky, kx, packed inputs;
                input channel i is bit i % 8 of byte i // 8, a set bit is a negative weight
    parameters  float32 (N, 8, 4, C): shift, scale, gamma, beta, zeta, inverse_lambda, phi, eta
    affines     float32 (N, 2, C): gain a and offset b of the frozen scene, an input of the graph

Attributes: `channels` C, `blocks` N, `outer_skip` 0 or 1 (the block's input is added once more),
`norm_epsilon` (added to both variances of the normalisation).
"""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, FunctionProto, TensorProto, helper

from bnnpan_export.onnx_nodes import DOMAIN, AttributeReference, NodeList, opset_imports
from bnnpan_runtime.weights import TRUNK_TENSORS

__all__ = ["binary_block", "binary_trunk", "fuse", "haar", "inverse_haar", "unpack_signs"]

_CHANNELS = AttributeReference("channels", AttributeProto.INT)
_BLOCKS = AttributeReference("blocks", AttributeProto.INT)
_OUTER_SKIP = AttributeReference("outer_skip", AttributeProto.INT)
_EPSILON = AttributeReference("norm_epsilon", AttributeProto.FLOAT)
_CHANNEL_AXIS = 2


def haar() -> FunctionProto:
    """`Haar`: one-level orthonormal transform."""
    body = NodeList()
    cells = body.add("SpaceToDepth", "features", blocksize=2)
    a, b, c, d = body.add_split("Split", cells, outputs=["a", "b", "c", "d"], axis=1, num_outputs=4)
    top, top_step = body.add("Add", a, b), body.add("Sub", a, b)
    bottom, bottom_step = body.add("Add", c, d), body.add("Sub", c, d)
    axis, half = body.integers(1), body.floats(0.5)
    parts = [
        body.add("Unsqueeze", body.add(operator, *operands), axis)
        for operands in ((top, bottom), (top_step, bottom_step))
        for operator in ("Add", "Sub")
    ]
    body.add("Mul", body.add("Concat", *parts, axis=1), half, output="sub_bands")
    return _function("Haar", ["features"], ["sub_bands"], body)


def inverse_haar() -> FunctionProto:
    """`InverseHaar`: exact inverse of `Haar`."""
    body = NodeList()
    halves = body.add("Mul", "sub_bands", body.floats(0.5))
    parts = body.add_split("Split", halves, outputs=["ll", "lh", "hl", "hh"], axis=1, num_outputs=4)
    axis = body.integers(1)
    ll, lh, hl, hh = (body.add("Squeeze", part, axis) for part in parts)
    top, bottom = body.add("Add", ll, lh), body.add("Sub", ll, lh)
    top_step, bottom_step = body.add("Add", hl, hh), body.add("Sub", hl, hh)
    cells = [
        body.add(operator, *operands)
        for operands in ((top, top_step), (bottom, bottom_step))
        for operator in ("Add", "Sub")
    ]
    body.add("DepthToSpace", body.add("Concat", *cells, axis=1), blocksize=2, output="features")
    return _function("InverseHaar", ["sub_bands"], ["features"], body)


def unpack_signs() -> FunctionProto:
    """`UnpackSigns`: packed weights of one block to the weights of a convolution in four groups."""
    body = NodeList()
    channels = body.add("Unsqueeze", body.add("Constant", value_int=_CHANNELS), body.integers(0))
    places = body.constant(np.arange(8), np.uint8)
    spread = body.add("Unsqueeze", "bits", body.integers(-1))
    shifted = body.add("BitShift", spread, places, direction="RIGHT")
    single = body.add("BitwiseAnd", shifted, body.constant(1, np.uint8))
    row = body.add("Reshape", single, body.integers(0, 0, 0, 0, -1))  # sub-band, output, ky, kx, input
    used = body.add("Slice", row, body.integers(0), channels, body.integers(4))
    negative = body.add("Cast", body.add("Transpose", used, perm=[0, 1, 4, 2, 3]), to=TensorProto.FLOAT)
    signs = body.add("Sub", body.floats(1), body.add("Mul", negative, body.floats(2)))
    shape = body.add("Concat", body.integers(-1), channels, body.integers(3, 3), axis=0)
    body.add("Reshape", signs, shape, output="weight")
    return _function("UnpackSigns", ["bits"], ["weight"], body, ["channels"])


def binary_block() -> FunctionProto:
    """`BinaryBlock`: threshold, sign, binary convolution, RPReLU, normalisation, plus input; per sub-band."""
    body = NodeList()
    epsilon = body.add("Constant", value_float=_EPSILON)
    spatial = body.integers(2, 3)
    vectors = {
        name: body.add("Unsqueeze", body.part("parameters", index), spatial, output=name)
        for index, name in enumerate(TRUNK_TENSORS)
    }
    convolved = _binary_convolution(body, vectors["shift"])
    scaled = body.add("Mul", convolved, vectors["scale"])
    active = body.add("PRelu", body.add("Sub", scaled, vectors["gamma"]), vectors["beta"])
    branch = body.add("Add", active, vectors["zeta"])
    input_mean, input_variance, _ = _statistics(body, "sub_bands", epsilon)
    _, branch_variance, centred = _statistics(body, branch, epsilon)
    gain = body.add("Sqrt", body.add("Div", input_variance, branch_variance))
    loud = body.add("Mul", gain, body.add("Sub", centred, vectors["phi"]))
    moved = body.add("Add", body.add("Mul", loud, vectors["inverse_lambda"]), input_mean)
    body.add("Add", "sub_bands", body.add("Add", moved, vectors["eta"]), output="result")
    inputs = ["sub_bands", "bits", "parameters"]
    return _function("BinaryBlock", inputs, ["result"], body, ["channels", "norm_epsilon"])


def binary_trunk(blocks: int, outer_skip: bool) -> FunctionProto:
    """`BinaryTrunk`: Haar, N blocks each followed by its frozen affine, inverse Haar.

    The affine of a plane commutes with the transform: the gain multiplies every sub-band, the offset lands
    doubled in LL. So the blocks follow each other without leaving the wavelet domain. The body is unrolled:
    `blocks` and `outer_skip` are fixed in it, and attributes only for whoever replaces it.
    """
    body = NodeList()
    to_sub_bands = body.floats(np.array([2, 0, 0, 0]).reshape(4, 1, 1, 1))
    spatial = body.integers(1, 2)
    x = body.add(f"{DOMAIN}::Haar", "features")
    for block in range(blocks):
        operands = [body.part(name, block) for name in ("bits", "parameters")]
        y = body.add(f"{DOMAIN}::BinaryBlock", x, *operands, channels=_CHANNELS, norm_epsilon=_EPSILON)
        if outer_skip:
            y = body.add("Add", y, x)
        affine = body.part("affines", block)
        gain, offset = (body.add("Unsqueeze", body.part(affine, part), spatial) for part in (0, 1))
        x = body.add("Add", body.add("Mul", y, gain), body.add("Mul", offset, to_sub_bands))
    body.add(f"{DOMAIN}::InverseHaar", x, output="result")
    inputs = ["features", "bits", "parameters", "affines"]
    attributes = ["channels", "blocks", "outer_skip", "norm_epsilon"]
    return _function("BinaryTrunk", inputs, ["result"], body, attributes)


def fuse() -> FunctionProto:
    """`Fuse`: the whole network of a window, for a kernel that never holds a plane of features.

    PAN `(n, 1, h, w)`, LMS `(n, bands, h, w)`, in network units, to HRMS like LMS; head, `BinaryTrunk`, tail.
    """
    body = NodeList()
    convolution = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    image = body.add("Concat", "lms", "pan", axis=1)
    features = body.add("Conv", image, "head_weight", "head_bias", output="features", **convolution)
    result = body.add(
        f"{DOMAIN}::BinaryTrunk",
        *(features, "bits", "parameters", "affines"),
        output="result",
        channels=_CHANNELS,
        blocks=_BLOCKS,
        outer_skip=_OUTER_SKIP,
        norm_epsilon=_EPSILON,
    )
    detail = body.add("Conv", result, "tail_weight", "tail_bias", output="detail", **convolution)
    body.add("Add", detail, "lms", output="hrms")
    weights = ["bits", "parameters", "head_weight", "head_bias", "tail_weight", "tail_bias"]
    attributes = ["channels", "blocks", "outer_skip", "norm_epsilon"]
    return _function("Fuse", ["pan", "lms", "affines", *weights], ["hrms"], body, attributes)


def _binary_convolution(body: NodeList, shift: str) -> str:
    """Sums of 9C signs, exact integers, `(n, 4, C, h, w)`.

    The reshape after the convolution keeps optimisers from multiplying the filter scale into the signs, after
    which the sums would no longer be exact.
    """
    negative = body.add("Less", "sub_bands", body.add("Neg", shift))
    signs = body.add("Where", negative, body.floats(-1), body.floats(1))
    batch, size = body.add("Shape", "sub_bands", start=0, end=1), body.add("Shape", "sub_bands", start=3)
    planes = body.add("Concat", batch, body.integers(-1), size, axis=0)
    weight = body.add(f"{DOMAIN}::UnpackSigns", "bits", channels=_CHANNELS)
    joined = body.add("Reshape", signs, planes)
    sums = body.add("Conv", joined, weight, group=4, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return body.add("Reshape", sums, body.add("Shape", "sub_bands"))


def _statistics(body: NodeList, tensor: str, epsilon: str) -> tuple[str, str, str]:
    """Mean, variance + epsilon (both per pixel over channels), and the centred tensor."""
    axis = body.integers(_CHANNEL_AXIS)
    mean = body.add("ReduceMean", tensor, axis)
    centred = body.add("Sub", tensor, mean)
    variance = body.add("ReduceMean", body.add("Mul", centred, centred), axis)
    return mean, body.add("Add", variance, epsilon), centred


def _function(
    name: str, inputs: list[str], outputs: list[str], body: NodeList, attributes: list[str] | None = None
) -> FunctionProto:
    return helper.make_function(DOMAIN, name, inputs, outputs, body.nodes, opset_imports(), attributes or [])
