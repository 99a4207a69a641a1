"""Larq Compute Engine's own TFLite interpreter, on x86-64: the oracle, not a fast path."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["LarqEngine", "LarqGraph"]

_MODULE = "interpreter_wrapper_lite"


class LarqEngine:
    """Opens graphs; raises BackendError if larq-compute-engine is not installed."""

    name = "larq-compute-engine"

    def __init__(self, fastest: bool = False) -> None:
        self._wrapper = _load_wrapper()
        self._fastest = fastest

    def open(self, content: bytes, where: str) -> LarqGraph:
        """A graph; `where` names it in errors."""
        return LarqGraph(self._wrapper, content, where, self._fastest)


class LarqGraph:
    """One graph, of fixed sizes. Calls wait for each other: the interpreter holds Python's global lock.

    Raises BackendError if the interpreter refuses the graph.
    """

    is_whole = False

    def __init__(self, wrapper: Any, content: bytes, where: str, fastest: bool) -> None:
        self._where = where
        self._lock = Lock()
        try:
            self._interpreter = wrapper.LiteInterpreter(content, 1, False, fastest, fastest)
        except RuntimeError as error:
            raise BackendError(f"Larq's interpreter refuses {where} ({error})") from error

    def run(self, inputs: Mapping[str, Float32], out: Float32) -> None:
        """Run on inputs; the graph has one output, which goes into `out`."""
        (result,) = self.outputs(inputs)
        np.copyto(out, result.reshape(out.shape))

    def outputs(self, inputs: Mapping[str, Float32]) -> list[Float32]:
        """All outputs for inputs, which are matched by shape: the converter does not keep their order."""
        ordered = []
        for shape in self._interpreter.input_shapes:
            matches = [image for image in inputs.values() if image.shape == tuple(shape)]
            if len(matches) != 1:
                raise BackendError(f"{self._where} takes an input {tuple(shape)} that is none of its own")
            ordered.append(np.ascontiguousarray(matches[0]))
        try:
            with self._lock:
                return list(self._interpreter.predict(ordered))
        except RuntimeError as error:
            raise BackendError(f"{self._where} fails ({error})") from error


def _load_wrapper() -> Any:
    """Larq's extension module, loaded from its file: its package would import all of TensorFlow first."""
    package = importlib.util.find_spec("larq_compute_engine")
    for folder in (package.submodule_search_locations or []) if package else []:
        for suffix in EXTENSION_SUFFIXES:
            file = Path(folder) / "tflite" / "python" / f"{_MODULE}{suffix}"
            if file.exists():
                loader = ExtensionFileLoader(_MODULE, str(file))
                spec = importlib.util.spec_from_loader(_MODULE, loader)
                if spec is not None:
                    module = importlib.util.module_from_spec(spec)
                    loader.exec_module(module)
                    return module
    raise BackendError("larq-compute-engine is not installed")
