"""The bundle's TFLite graph: in stock LiteRT on our kernels, or in Larq's own interpreter."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, BundleError
from bnnpan_runtime.graph.larq import LarqEngine, LarqGraph
from bnnpan_runtime.graph.library_memory import window_bytes
from bnnpan_runtime.graph.litert import LiteRtEngine, LiteRtGraph, fuse_bytes
from bnnpan_runtime.graph.numpy_calibration import calibrate, calibration_bytes
from bnnpan_runtime.graph.protocol import BackendMemory, Float32

__all__ = ["TfliteBackend"]

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """What can run TFLite graphs with Larq's operators."""

    name: str

    def open(self, content: bytes, where: str) -> LiteRtGraph | LarqGraph:
        """A graph; `where` names it in errors."""
        ...


class TfliteBackend:
    """The TFLite graph in the given engine, or in the best one that is installed.

    Raises BackendError if none is, BundleError if the bundle has no TFLite graph.
    """

    name = "tflite"

    def __init__(self, bundle: Bundle, engine: Engine | None = None) -> None:
        if not bundle.manifest.tflite_window:
            raise BundleError(f"{bundle.path}: has no fuse.tflite; export it with that format")
        self._bundle = bundle
        self._engine = engine or _installed_engine()
        self.isa = self._engine.name
        self._fuse = self._engine.open(bundle.read("fuse.tflite"), f"{bundle.path}: fuse.tflite")
        self.fixed_window = None if self._fuse.is_whole else bundle.manifest.tflite_window
        if not self._fuse.is_whole and engine is None:
            _log.warning("%s: %s runs fuse.tflite operator by operator, slowly", self.name, self.isa)

    def memory(self, height: int, width: int) -> BackendMemory:
        """What the engine allocates for one window; for a graph in pieces, as measured at export."""
        manifest = self._bundle.manifest
        if self._fuse.is_whole:
            return BackendMemory(0, fuse_bytes(manifest.network, height, width))
        return BackendMemory(0, window_bytes(manifest, self.name, height * width))

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What `calibrate` allocates, which the engine has no part in."""
        return calibration_bytes(self._bundle.manifest.network, count, patch)

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines of a scene, computed in numpy."""
        return calibrate(self._bundle.weights(), self._bundle.manifest.network, pan, lms)

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse one window, which the engine holds channels last."""
        pixels = {"pan": pan.transpose(1, 2, 0)[None], "lms": lms.transpose(1, 2, 0)[None]}
        self._fuse.run({**pixels, "affines": affines}, out.transpose(1, 2, 0)[None])


def _installed_engine() -> Engine:
    reasons = []
    for opener in (LiteRtEngine, LarqEngine):
        try:
            return opener()
        except BackendError as error:
            reasons.append(str(error))
    raise BackendError(
        f"the tflite backend needs ai-edge-litert (install bnnpan-runtime[tflite]) or, on x86-64,"
        f" larq-compute-engine: {'; '.join(reasons)}"
    )
