"""ONNX models made of a bundle's, in ONNX Runtime, one thread each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, inliner, load_from_string

from bnnpan_export.bench.fuse_only import FuseOnly
from bnnpan_export.onnx_nodes import DOMAIN
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.onnx import load_onnxruntime, one_thread
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["GraphBackend", "layered", "open_session"]


def layered(content: bytes) -> ModelProto:
    """`fuse.onnx` with head convolution, `BinaryTrunk` and tail convolution as nodes of their own."""
    model = load_from_string(content)
    if all(function.name != "Fuse" for function in model.functions):
        return model
    inlined: ModelProto = inliner.inline_selected_functions(model, [(DOMAIN, "Fuse")], exclude=False)
    return inlined


def open_session(model: ModelProto, library: str | None = None) -> Any:
    """A session; with `library`, operators that it defines are used. Raises BackendError."""
    ort = load_onnxruntime()
    options = one_thread(ort)
    try:
        if library is not None:
            options.register_custom_ops_library(library)
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise BackendError(f"ONNX Runtime refuses the graph: {one_line(error)}") from error


class GraphBackend(FuseOnly):
    """A graph with inputs and outputs named as in `fuse.onnx`, of which it may leave some out."""

    name = "onnx"
    isa = "onnxruntime"

    def __init__(self, model: ModelProto) -> None:
        self._session = open_session(model)
        self._inputs = {value.name for value in self._session.get_inputs()}

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """One window, with its output bound, so that nobody is charged for a fresh buffer."""
        binding = self._session.io_binding()
        for name, value in (("pan", pan[None]), ("lms", lms[None]), ("affines", affines)):
            if name in self._inputs:
                binding.bind_cpu_input(name, value)
        binding.bind_output("hrms", "cpu", 0, np.float32, (1, *out.shape), out.ctypes.data)
        self._session.run_with_iobinding(binding)
