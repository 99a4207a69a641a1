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
_SUB_BANDS = ("LL", "LH", "HL", "HH")


def haar() -> FunctionProto:
    """`Haar`: one-level orthonormal transform."""
    body = NodeList()
    cells = body.add("SpaceToDepth", "features", blocksize=2, output="cells")
    a, b, c, d = body.add_split("Split", cells, outputs=["a", "b", "c", "d"], axis=1, num_outputs=4)
    top, top_step = body.add("Add", a, b, output="top"), body.add("Sub", a, b, output="top_step")
    bottom, bottom_step = body.add("Add", c, d, output="bottom"), body.add("Sub", c, d, output="bottom_step")
    axis, half = body.integers(1), body.floats(0.5)
    sums = {
        "LL": (top, bottom),
        "LH": (top, bottom),
        "HL": (top_step, bottom_step),
        "HH": (top_step, bottom_step),
    }
    parts = []
    for name, operands in sums.items():
        doubled = body.add("Sub" if name.endswith("H") else "Add", *operands, output=f"double_{name}")
        parts.append(body.add("Unsqueeze", doubled, axis, output=f"double_{name}_plane"))
    joined = body.add("Concat", *parts, axis=1, output="double_sub_bands")
    body.add("Mul", joined, half, output="sub_bands")
    return _function("Haar", ["features"], ["sub_bands"], body)


def inverse_haar() -> FunctionProto:
    """`InverseHaar`: exact inverse of `Haar`."""
    body = NodeList()
    halves = body.add("Mul", "sub_bands", body.floats(0.5), output="half_sub_bands")
    planes = [f"half_{name}_plane" for name in _SUB_BANDS]
    parts = body.add_split("Split", halves, outputs=planes, axis=1, num_outputs=4)
    axis = body.integers(1)
    ll, lh, hl, hh = (
        body.add("Squeeze", part, axis, output=f"half_{name}")
        for name, part in zip(_SUB_BANDS, parts, strict=True)
    )
    top, bottom = body.add("Add", ll, lh, output="top"), body.add("Sub", ll, lh, output="bottom")
    top_step, bottom_step = (
        body.add("Add", hl, hh, output="top_step"),
        body.add("Sub", hl, hh, output="bottom_step"),
    )
    cells = [
        body.add("Add", top, top_step, output="a"),
        body.add("Sub", top, top_step, output="b"),
        body.add("Add", bottom, bottom_step, output="c"),
        body.add("Sub", bottom, bottom_step, output="d"),
    ]
    joined = body.add("Concat", *cells, axis=1, output="cells")
    body.add("DepthToSpace", joined, blocksize=2, output="features")
    return _function("InverseHaar", ["sub_bands"], ["features"], body)


def unpack_signs() -> FunctionProto:
    """`UnpackSigns`: packed weights of one block to the weights of a convolution in four groups."""
    body = NodeList()
    count = body.add("Constant", value_int=_CHANNELS, output="channel_count")
    channels = body.add("Unsqueeze", count, body.integers(0), output="channel_counts")
    places = body.constant(np.arange(8), np.uint8)
    spread = body.add("Unsqueeze", "bits", body.integers(-1), output="bytes")
    shifted = body.add("BitShift", spread, places, direction="RIGHT", output="shifted_bytes")
    single = body.add("BitwiseAnd", shifted, body.constant(1, np.uint8), output="single_bits")
    # sub-band, output, ky, kx, input
    row = body.add("Reshape", single, body.integers(0, 0, 0, 0, -1), output="bit_per_input")
    used = body.add("Slice", row, body.integers(0), channels, body.integers(4), output="used_bits")
    ordered = body.add("Transpose", used, perm=[0, 1, 4, 2, 3], output="negative_bits")
    negative = body.add("Cast", ordered, to=TensorProto.FLOAT, output="negative")
    twice = body.add("Mul", negative, body.floats(2), output="twice_negative")
    signs = body.add("Sub", body.floats(1), twice, output="signs")
    shape = body.add(
        "Concat", body.integers(-1), channels, body.integers(3, 3), axis=0, output="weight_shape"
    )
    body.add("Reshape", signs, shape, output="weight")
    return _function("UnpackSigns", ["bits"], ["weight"], body, ["channels"])


def binary_block() -> FunctionProto:
    """`BinaryBlock`: threshold, sign, binary convolution, RPReLU, normalisation, plus input; per sub-band."""
    body = NodeList()
    epsilon = body.add("Constant", value_float=_EPSILON, output="epsilon")
    spatial = body.integers(2, 3)
    vectors = {
        name: body.add("Unsqueeze", body.part("parameters", index, f"{name}_values"), spatial, output=name)
        for index, name in enumerate(TRUNK_TENSORS)
    }
    convolved = _binary_convolution(body, vectors["shift"])
    scaled = body.add("Mul", convolved, vectors["scale"], output="scaled")
    moved = body.add("Sub", scaled, vectors["gamma"], output="above_gamma")
    active = body.add("PRelu", moved, vectors["beta"], output="active")
    branch = body.add("Add", active, vectors["zeta"], output="branch")
    input_mean, input_variance, _ = _statistics(body, "sub_bands", "input", epsilon)
    _, branch_variance, centred = _statistics(body, branch, "branch", epsilon)
    ratio = body.add("Div", input_variance, branch_variance, output="variance_ratio")
    gain = body.add("Sqrt", ratio, output="normalising_gain")
    shifted = body.add("Sub", centred, vectors["phi"], output="above_phi")
    loud = body.add("Mul", gain, shifted, output="normalised")
    quiet = body.add("Mul", loud, vectors["inverse_lambda"], output="over_lambda")
    around_mean = body.add("Add", quiet, input_mean, output="around_input_mean")
    added = body.add("Add", around_mean, vectors["eta"], output="unit")
    body.add("Add", "sub_bands", added, output="result")
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
    x = body.add(f"{DOMAIN}::Haar", "features", output="head_sub_bands")
    attributes = {"channels": _CHANNELS, "norm_epsilon": _EPSILON}
    for block in range(blocks):
        here = f"block_{block + 1}"
        operands = [body.part(name, block, f"{here}_{name}") for name in ("bits", "parameters")]
        y = body.add(f"{DOMAIN}::BinaryBlock", x, *operands, output=f"{here}_units", **attributes)
        if outer_skip:
            y = body.add("Add", y, x, output=f"{here}_outer_skip")
        affine = body.part("affines", block, f"{here}_affine")
        gain, offset = (
            body.add(
                "Unsqueeze", body.part(affine, part, f"{here}_{name}s"), spatial, output=f"{here}_{name}"
            )
            for part, name in enumerate(("gain", "offset"))
        )
        scaled = body.add("Mul", y, gain, output=f"{here}_scaled")
        in_ll = body.add("Mul", offset, to_sub_bands, output=f"{here}_offset_in_LL")
        x = body.add("Add", scaled, in_ll, output=here)
    body.add(f"{DOMAIN}::InverseHaar", x, output="result")
    inputs = ["features", "bits", "parameters", "affines"]
    names = ["channels", "blocks", "outer_skip", "norm_epsilon"]
    return _function("BinaryTrunk", inputs, ["result"], body, names)


def fuse() -> FunctionProto:
    """`Fuse`: the whole network of a window, for a kernel that never holds a plane of features.

    PAN `(n, 1, h, w)`, LMS `(n, bands, h, w)`, in network units, to HRMS like LMS; head, `BinaryTrunk`, tail.
    """
    body = NodeList()
    convolution = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    image = body.add("Concat", "lms", "pan", axis=1, output="image")
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
    threshold = body.add("Neg", shift, output="threshold")
    negative = body.add("Less", "sub_bands", threshold, output="below_threshold")
    signs = body.add("Where", negative, body.floats(-1), body.floats(1), output="signs")
    batch = body.add("Shape", "sub_bands", start=0, end=1, output="batch")
    size = body.add("Shape", "sub_bands", start=3, output="height_and_width")
    planes = body.add("Concat", batch, body.integers(-1), size, axis=0, output="shape_of_planes")
    weight = body.add(f"{DOMAIN}::UnpackSigns", "bits", channels=_CHANNELS, output="weight")
    joined = body.add("Reshape", signs, planes, output="planes_of_signs")
    convolution = {"group": 4, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    sums = body.add("Conv", joined, weight, output="planes_of_sums", **convolution)
    return body.add("Reshape", sums, body.add("Shape", "sub_bands", output="own_shape"), output="sums")


def _statistics(body: NodeList, tensor: str, name: str, epsilon: str) -> tuple[str, str, str]:
    """Mean, variance + epsilon (both per pixel over channels), and the centred tensor."""
    axis = body.integers(_CHANNEL_AXIS)
    mean = body.add("ReduceMean", tensor, axis, output=f"{name}_mean")
    centred = body.add("Sub", tensor, mean, output=f"{name}_centred")
    squares = body.add("Mul", centred, centred, output=f"{name}_squares")
    variance = body.add("ReduceMean", squares, axis, output=f"{name}_variance")
    return mean, body.add("Add", variance, epsilon, output=f"{name}_variance_plus_epsilon"), centred


def _function(
    name: str, inputs: list[str], outputs: list[str], body: NodeList, attributes: list[str] | None = None
) -> FunctionProto:
    return helper.make_function(DOMAIN, name, inputs, outputs, body.nodes, opset_imports(), attributes or [])
