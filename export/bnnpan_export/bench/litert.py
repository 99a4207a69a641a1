"""The network as a float network in stock LiteRT, which hands it to XNNPACK."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.protocol import BackendMemory, Float32

__all__ = ["LiteRtFloat"]


class LiteRtFloat:
    """The bundle's `fuse.tflite` with float convolutions; one window at a time.

    Raises BackendError without ai-edge-litert, BundleError without the graph.
    """

    name = "litert-float"

    def __init__(self, bundle: Bundle) -> None:
        content = bundle.read("fuse.tflite")
        try:
            import ai_edge_litert
            from ai_edge_litert.interpreter import Interpreter

            from bnnpan_export.bench.litert_float import float_network
        except ImportError as error:
            raise BackendError(f"needs LiteRT; install ai-edge-litert ({one_line(error)})") from error
        self.fixed_window: int | None = bundle.manifest.tflite_window
        self.isa = f"ai-edge-litert {ai_edge_litert.__version__}"
        self._interpreter: Any = Interpreter(model_content=float_network(content), num_threads=1)
        self._interpreter.allocate_tensors()
        self._lock = Lock()

    def memory(self, height: int, width: int) -> BackendMemory:
        """Not known."""
        return BackendMemory(0, 0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """Not known."""
        return 0

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Only `fuse` is timed. Raises BackendError."""
        raise BackendError("only fuse is timed")

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """One window; inputs are told apart by their shapes, as the converter does not keep their order."""
        images = {image.shape: image for image in (_channels_last(pan), _channels_last(lms), affines)}
        with self._lock:
            for place in self._interpreter.get_input_details():
                self._interpreter.set_tensor(place["index"], images[tuple(place["shape"])])
            self._interpreter.invoke()
            (place,) = self._interpreter.get_output_details()
            result = self._interpreter.get_tensor(place["index"])
        np.copyto(out, result[0].transpose(2, 0, 1))


def _channels_last(image: Float32) -> Float32:
    return np.ascontiguousarray(image.transpose(1, 2, 0)[None])
