"""Taps of a bundle's ONNX graph: further outputs of a copy of it, or prefixes where one node is all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, inliner, load_from_string, numpy_helper

from bnnpan.model.wavelet import SUB_BANDS
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.onnx_graph import fuse_graph
from bnnpan_export.onnx_nodes import DOMAIN
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values
from bnnpan_export.taps.prefixes import prefix_form
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.libbnnpan import library_path
from bnnpan_runtime.graph.onnx import load_onnxruntime, one_thread
from bnnpan_runtime.weights import TRUNK_TENSORS

__all__ = ["kernel_form", "stock_form"]


def stock_form(name: str, content: bytes) -> Form:
    """Stock ONNX Runtime on the graph, its functions `Fuse` and `BinaryTrunk` written out."""
    model = load_from_string(content)
    parts = [(DOMAIN, "Fuse"), (DOMAIN, "BinaryTrunk")]
    flat: ModelProto = inliner.inline_selected_functions(model, parts, exclude=False)
    names = _inner_tensors(flat)
    for tensor in names:
        flat.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    session = _session(flat, kernels=False)

    def look(tile: Tile) -> Values:
        hrms, head, *blocks, tail = _run(session, tile)
        values = {"head": head[0]}
        for block, sub_bands in enumerate(blocks):
            keys = (f"block {block + 1} {sub_band}" for sub_band in SUB_BANDS)
            values |= dict(zip(keys, sub_bands[0], strict=True))
        return {**values, "tail": tail[0], OUTPUT: hrms[0]}

    return Form(name, look)


def kernel_form(name: str, content: bytes, frozen: FrozenNetwork) -> Form:
    """ONNX Runtime with the kernels of libbnnpan, which compute the one node of the graph.

    Prefixes are written with the tensors of that graph; of `frozen` only what calibrates is taken.
    """
    model = load_from_string(content)
    whole = _session(model, kernels=True)
    own = _with_graph_tensors(frozen, model)

    def fuse(network: FrozenNetwork, tile: Tile) -> NDArray[np.float32]:
        session = whole if network is own else _session(fuse_graph(network, {}), kernels=True)
        return np.asarray(_run(session, tile)[0][0])

    return prefix_form(name, own, fuse)


def _inner_tensors(flat: ModelProto) -> list[str]:
    """Behind the head, behind each block, and behind the tail, found by the operators that use them."""
    nodes = flat.graph.node
    head, tail = (node for node in nodes if node.op_type == "Conv")
    (inverse,) = (node for node in nodes if node.op_type == "InverseHaar")
    blocks = [node.input[0] for node in nodes if node.op_type == "BinaryBlock"]
    return [head.output[0], *blocks[1:], inverse.input[0], tail.output[0]]


def _with_graph_tensors(frozen: FrozenNetwork, model: ModelProto) -> FrozenNetwork:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    parameters = stored.pop("trunk.parameters")
    trunk = {f"trunk.{name}": parameters[:, index] for index, name in enumerate(TRUNK_TENSORS)}
    return replace(frozen, tensors={**frozen.tensors, **trunk, **stored})


def _session(model: ModelProto, kernels: bool) -> Any:
    ort = load_onnxruntime()
    options = one_thread(ort)
    try:
        if kernels:
            options.register_custom_ops_library(str(library_path()))
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise BackendError(f"ONNX Runtime refuses fuse.onnx: {one_line(error)}") from error


def _run(session: Any, tile: Tile) -> list[NDArray[np.float32]]:
    result: list[NDArray[np.float32]] = session.run(
        None, {"pan": tile.pan[None], "lms": tile.lms[None], "affines": tile.affines}
    )
    return result
