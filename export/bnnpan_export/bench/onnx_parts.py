"""Head, trunk and tail of a bundle's `fuse.onnx`, each as a model of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from bnnpan_export.bench.onnx_session import layered, open_session
from bnnpan_runtime.bench.contest import Run, timed
from bnnpan_runtime.bench.network import Images, Network
from bnnpan_runtime.bench.rows import Case
from bnnpan_runtime.graph.libbnnpan import library_path

__all__ = ["PartsCompetitor", "part"]

_PARTS = {"head": ("pan", "lms"), "trunk": ("head", "affines"), "tail": ("trunk", "lms")}
"""Images and affines that a part takes; it gives the tensor of its own name, the tail HRMS."""


def part(content: bytes, name: str) -> ModelProto:
    """One of "head", "trunk", "tail" out of `fuse.onnx`; inputs and output are float32 images or affines."""
    model = layered(content)
    graph = model.graph
    (place,) = (index for index, node in enumerate(graph.node) if node.op_type == "BinaryTrunk")
    spans = {"head": slice(0, place), "trunk": slice(place, place + 1), "tail": slice(place + 1, None)}
    trunk = graph.node[place]
    names = {trunk.input[0]: "head", trunk.output[0]: "trunk"}
    nodes = graph.node[spans[name]]
    for node in nodes:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
    needed = {tensor for node in nodes for tensor in node.input}
    known = {value.name: value for value in graph.input}
    inputs = [known.get(tensor) or _image(tensor) for tensor in _PARTS[name]]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    output = _image("hrms" if name == "tail" else name)
    graph.CopyFrom(helper.make_graph(nodes, name, inputs, [output], constants))
    return model


def _image(name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, None, "height", "width"))


@dataclass(frozen=True)
class PartsCompetitor:
    """Parts of the network in ONNX Runtime, with or without the kernels of libbnnpan."""

    name: str
    kernels: bool

    @property
    def stages(self) -> Sequence[str]:
        """The kernels replace the trunk only."""
        return ("trunk",) if self.kernels else tuple(_PARTS)

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Run]:
        """Raises BackendError without ONNX Runtime or kernels, BundleError without the graph."""
        model = part(network.graphs.read("fuse.onnx"), case.stage)
        session = open_session(model, str(library_path()) if self.kernels else None)
        return [_run(session, network, images) for _ in range(case.threads)]


def _run(session: Any, network: Network, images: Images) -> Run:
    side = images.window.height
    features = (1, network.shape.channels, side, side)
    random = np.random.default_rng(0)
    values = {
        "pan": images.pan[None],
        "lms": images.lms[None],
        "affines": images.affines,
        "head": random.standard_normal(features, np.float32),
        "trunk": random.standard_normal(features, np.float32),
    }
    (output,) = session.get_outputs()
    result = np.empty((1, network.shape.bands, side, side) if output.name == "hrms" else features, np.float32)
    binding = session.io_binding()
    for value in session.get_inputs():
        binding.bind_cpu_input(value.name, values[value.name])
    binding.bind_output(output.name, "cpu", 0, np.float32, result.shape, result.ctypes.data)
    keep = (values, result)
    return timed(lambda: (session.run_with_iobinding(binding), keep))
