"""The bundle's ONNX graphs in stock ONNX Runtime, on the CPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.library_memory import patches_bytes, window_bytes
from bnnpan_runtime.graph.protocol import BackendMemory, Float32

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxBackend"]

_FATAL_ONLY = 4


class OnnxBackend:
    """ONNX Runtime with one thread per window: results do not depend on how many run side by side.

    Raises BackendError if it is not installed or refuses the graphs, BundleError if the bundle has none.
    """

    name = "onnx"
    fixed_window: int | None = None

    def __init__(self, bundle: Bundle) -> None:
        # Set before the import: read once, when the library is loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendError("the onnx backend needs ONNX Runtime; install onnxruntime") from error
        self._ort = onnxruntime
        self._bundle = bundle
        self._fuse = self._session("fuse.onnx")
        self.isa = f"onnxruntime {onnxruntime.__version__}"

    def memory(self, height: int, width: int) -> BackendMemory:
        """What ONNX Runtime allocates for one window, by the model measured at export."""
        return BackendMemory(0, window_bytes(self._bundle.manifest, self.name, height * width))

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What ONNX Runtime allocates for all patches, which it takes as one batch."""
        return patches_bytes(self._bundle.manifest, self.name, count, patch)

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines of a scene; the session lives only as long as this call, and its memory with it."""
        session = self._session("calibrate.onnx")
        try:
            affines = session.run(["affines"], {"pan": pan, "lms": lms})[0]
        except Exception as error:
            raise BackendError(f"{self._bundle.path}: calibrate.onnx fails: {one_line(error)}") from error
        # A copy: the array given lies in the session's arena and would keep all of it alive.
        return np.array(affines, np.float32, order="C")

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse one window; ONNX Runtime writes straight into `out` and has its own arena."""
        binding = self._fuse.io_binding()
        binding.bind_cpu_input("pan", pan[None])
        binding.bind_cpu_input("lms", lms[None])
        binding.bind_cpu_input("affines", affines)
        binding.bind_output("hrms", "cpu", 0, np.float32, (1, *out.shape), out.ctypes.data)
        try:
            self._fuse.run_with_iobinding(binding)
        except Exception as error:
            raise BackendError(f"{self._bundle.path}: fuse.onnx fails: {one_line(error)}") from error

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        content = self._bundle.read(name)
        try:
            return self._ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class
            raise BackendError(
                f"{self._bundle.path}: ONNX Runtime refuses {name}: {one_line(error)}"
            ) from error
