"""The engines that a bundle's graphs are checked and measured with: never the kernels of libbnnpan."""

from __future__ import annotations

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import Backend
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.onnx import OnnxBackend
from bnnpan_runtime.graph.tflite import TfliteBackend

__all__ = ["stock_engine"]


def stock_engine(name: str, bundle: Bundle) -> Backend:
    """Stock ONNX Runtime for "onnx", Larq's interpreter for "tflite".

    Their results are independent of libbnnpan's, and the memory they take is the most that a board will see.
    """
    return OnnxBackend(bundle, kernels=False) if name == "onnx" else TfliteBackend(bundle, LarqEngine())
