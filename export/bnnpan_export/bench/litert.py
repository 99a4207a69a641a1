"""The network as a float network in stock LiteRT, which hands it to XNNPACK."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_export.bench.fuse_only import FuseOnly
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["LiteRtFloat"]


class LiteRtFloat(FuseOnly):
    """The bundle's `fuse.tflite` with float convolutions; as many interpreters as there are calls at a time.

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
        self.fixed_window = bundle.manifest.tflite_window
        self.isa = f"ai-edge-litert {ai_edge_litert.__version__}"
        self._open, self._content = Interpreter, float_network(content)
        self._idle = deque([self._interpreter()])

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """One window; inputs are told apart by their shapes, as the converter does not keep their order."""
        images = {image.shape: image for image in (_channels_last(pan), _channels_last(lms), affines)}
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = self._interpreter()
        for place in interpreter.get_input_details():
            interpreter.set_tensor(place["index"], images[tuple(place["shape"])])
        interpreter.invoke()
        (place,) = interpreter.get_output_details()
        np.copyto(out, interpreter.get_tensor(place["index"])[0].transpose(2, 0, 1))
        self._idle.append(interpreter)

    def _interpreter(self) -> Any:
        interpreter = self._open(model_content=self._content, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter


def _channels_last(image: Float32) -> Float32:
    return np.ascontiguousarray(image.transpose(1, 2, 0)[None])
