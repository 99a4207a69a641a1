"""The bundle's ONNX graph in ONNX Runtime: on the CPU with the kernels of libbnnpan where there are any."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.libbnnpan import chosen_instruction_set, library_path
from bnnpan_runtime.graph.library_memory import rows_bytes, window_bytes
from bnnpan_runtime.graph.numpy_calibration import calibrate, calibration_bytes
from bnnpan_runtime.graph.protocol import BackendMemory, Float32
from bnnpan_runtime.graph.providers import CPU, open_session, wanted_providers

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "KERNELS_VARIABLE",
    "OnnxBackend",
    "kernels_are_demanded",
    "load_onnxruntime",
    "one_thread",
]

KERNELS_VARIABLE = "BNNPAN_ONNX_KERNELS"
"""0: never use the kernels of libbnnpan; 1: never do without; not set: use them if they can be had."""

WHOLE_WINDOW = "ai.bnnpan::Fuse"
"""Property `operator` of a fuse.onnx that is a single node, which the kernels compute row by row."""

_FATAL_ONLY = 4

_SESSION_BYTES = 2 * 2**20
_SESSION_BYTES_PER_STORED_BYTE = 4
"""What a session with kernels takes beside their rows: at most 0.6 MiB and 2.6 times fuse.onnx were measured,
with 8 to 256 channels and ONNX Runtime 1.17 to 1.31."""

_log = logging.getLogger(__name__)


class OnnxBackend:
    """ONNX Runtime with one thread per window: results do not depend on how many run side by side.

    The operators of domain `ai.bnnpan` in the graph are functions of standard ones, which any ONNX Runtime
    computes. With `kernels`, libbnnpan is registered with it and computes them instead; path and instruction
    set are those of the native backend. None leaves it to `KERNELS_VARIABLE`; if that is not set either, the
    kernels are used when the library is there and ONNX Runtime takes it.

    Raises BackendError if ONNX Runtime is not installed or refuses the graph, or if kernels are demanded and
    cannot be had; BundleError if the bundle has no such graph.
    """

    name = "onnx"
    fixed_window: int | None = None
    kernels: str | None
    """Instruction set of the kernels; None where ONNX Runtime computes alone."""
    provider: str
    """What it computes with: "cpu", "cuda" or "tensorrt"; the first of `wanted_providers` that works."""

    def __init__(self, bundle: Bundle, kernels: bool | None = None) -> None:
        self._ort = load_onnxruntime()
        self._bundle = bundle
        self._open(_wanted() if kernels is None else kernels)
        self.isa = f"onnxruntime {self._ort.__version__}"
        if self.kernels:
            self.isa += f" with {self.kernels} kernels"
        if self.provider != CPU:
            self.isa += f" on {self.provider}"

    def memory(self, height: int, width: int) -> BackendMemory:
        """What ONNX Runtime allocates for one window, by the model measured at export; kernels take less.

        Kernels that compute the whole window keep rows of it, and the session what it needs.
        """
        manifest = self._bundle.manifest
        if not self._is_whole:
            return BackendMemory(0, window_bytes(manifest, self.name, height * width))
        stored_bytes = manifest.files["fuse.onnx"].size_bytes
        session_bytes = _SESSION_BYTES + _SESSION_BYTES_PER_STORED_BYTE * stored_bytes
        return BackendMemory(0, session_bytes + rows_bytes(manifest.network, width))

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What `calibrate` allocates, which ONNX Runtime has no part in."""
        return calibration_bytes(self._bundle.manifest.network, count, patch)

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines of a scene, computed in numpy."""
        return calibrate(self._bundle.weights(), self._bundle.manifest.network, pan, lms)

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

    def _open(self, kernels: bool | None) -> None:
        """With the first provider that works; one that does not is named in a warning."""
        *first, last = wanted_providers()
        for provider in first:
            try:
                return self._open_with(provider, kernels)
            except BackendError as error:
                _log.warning("backend onnx goes on without %s: %s", provider, error)
        self._open_with(last, kernels)

    def _open_with(self, provider: str, kernels: bool | None) -> None:
        self.provider = provider
        self.kernels, self._options, self._is_whole = None, one_thread(self._ort), False
        if provider != CPU:
            if kernels:
                raise BackendError(f"the kernels of libbnnpan run on the processor, not with {provider}")
        elif kernels or (kernels is None and library_path().is_file()):
            try:
                self.kernels = _register(self._options)
                self._fuse = self._session()
                operator = self._fuse.get_modelmeta().custom_metadata_map.get("operator")
                self._is_whole = operator == WHOLE_WINDOW
                return
            except BackendError as error:
                if kernels:
                    raise
                _log.warning("backend onnx runs without kernels, which takes longer: %s", error)
        self.kernels, self._options = None, one_thread(self._ort)
        self._fuse = self._session()

    def _session(self) -> onnxruntime.InferenceSession:
        content = self._bundle.read("fuse.onnx")
        try:
            return open_session(self._ort, content, self._options, self.provider)
        except BackendError as error:
            raise BackendError(f"{self._bundle.path}: {error}") from error


def load_onnxruntime() -> Any:
    """The module. Raises BackendError if it is not installed."""
    # Set before the import: read once, when the library is loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError("ONNX Runtime is needed; install onnxruntime") from error
    return onnxruntime


def one_thread(ort: Any) -> onnxruntime.SessionOptions:
    """Options of a session that computes in the thread of its caller and says nothing."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    return options


def kernels_are_demanded() -> bool:
    """Whether `KERNELS_VARIABLE` forbids to do without."""
    return _wanted() is True


def _wanted() -> bool | None:
    value = os.environ.get(KERNELS_VARIABLE, "")
    if value not in ("", "0", "1"):
        raise BackendError(f"{KERNELS_VARIABLE} is {value!r}; set it to 0 or 1, or not at all")
    return value == "1" if value else None


def _register(options: onnxruntime.SessionOptions) -> str:
    """Let sessions of these options use the kernels; the instruction set they are for.

    The library's own version is checked first, then, by the library, that of ONNX Runtime: what does not fit
    is refused before it could crash.
    """
    isa = chosen_instruction_set()
    try:
        options.register_custom_ops_library(str(library_path()))
    except Exception as error:
        raise BackendError(f"ONNX Runtime does not take {library_path()}: {one_line(error)}") from error
    return isa
