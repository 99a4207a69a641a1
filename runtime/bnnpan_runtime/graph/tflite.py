"""The bundle's TFLite graphs in Larq Compute Engine's interpreter: the oracle on x86, not a fast path."""

from __future__ import annotations

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, BundleError
from bnnpan_runtime.graph.library_memory import patches_bytes, window_bytes
from bnnpan_runtime.graph.protocol import BackendMemory, Float32

__all__ = ["TfliteBackend"]

_MODULE = "interpreter_wrapper_lite"


class TfliteBackend:
    """Larq's TFLite interpreter. It holds one window at a time, so calls wait for each other.

    Raises BackendError if it is not installed, BundleError if the bundle has no TFLite graphs.
    """

    name = "tflite"
    isa = "larq-compute-engine"

    def __init__(self, bundle: Bundle) -> None:
        if not bundle.manifest.tflite_window:
            raise BundleError(f"{bundle.path}: has no fuse.tflite; export it with that format")
        self._bundle = bundle
        self._network = bundle.manifest.network
        self._wrapper = _larq_interpreter()
        self.fixed_window: int | None = bundle.manifest.tflite_window
        self._fuse = self._interpreter("fuse.tflite")
        self._lock = Lock()

    def memory(self, height: int, width: int) -> BackendMemory:
        """What the interpreter allocates, by the model measured at export."""
        return BackendMemory(0, window_bytes(self._bundle.manifest, self.name, height * width))

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What the interpreter allocates for all patches, which it takes as one batch."""
        return patches_bytes(self._bundle.manifest, self.name, count, patch)

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines of a scene; the interpreter lives only as long as this call."""
        interpreter = self._interpreter("calibrate.tflite")
        (affines,) = self._run(interpreter, "calibrate.tflite", [_channels_last(pan), _channels_last(lms)])
        network = self._network
        return affines.reshape(network.blocks, 2, network.channels)

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse one window of the fixed size."""
        inputs = [_channels_last(pan[None]), _channels_last(lms[None]), affines]
        with self._lock:
            (hrms,) = self._run(self._fuse, "fuse.tflite", inputs)
        np.copyto(out, hrms.reshape(*out.shape[1:], out.shape[0]).transpose(2, 0, 1))

    def _interpreter(self, name: str) -> Any:
        try:
            return self._wrapper.LiteInterpreter(self._bundle.read(name), 1, False, False, False)
        except RuntimeError as error:
            raise BackendError(f"{self._bundle.path}: the interpreter refuses {name} ({error})") from error

    def _run(self, interpreter: Any, name: str, inputs: list[Float32]) -> list[Float32]:
        """Outputs for the inputs, which are matched by shape: the converter does not keep their order."""
        ordered = []
        for shape in interpreter.input_shapes:
            matches = [image for image in inputs if image.shape == tuple(shape)]
            if len(matches) != 1:
                raise BackendError(
                    f"{self._bundle.path}: {name} takes an input {tuple(shape)} that is none of its own"
                )
            ordered.append(matches[0])
        try:
            outputs: list[Float32] = interpreter.predict(ordered)
        except RuntimeError as error:
            raise BackendError(f"{self._bundle.path}: {name} fails ({error})") from error
        return outputs


def _channels_last(image: Float32) -> Float32:
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1))


def _larq_interpreter() -> Any:
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
    raise BackendError("the tflite backend needs Larq's interpreter (x86 only); install larq-compute-engine")
