"""Measure one engine's memory in a process of its own.

    python -m bnnpan_export.memory_probe BUNDLE BACKEND SIDE

BACKEND is "onnx" or "tflite", without the kernels of libbnnpan, or "onnx-kernels". Prints the bytes of the
peak that its allocator took for loading the graph and fusing a window of SIDE x SIDE pixels, without the
engine's code, inputs and outputs.
"""

from __future__ import annotations

import sys

import numpy as np

from bnnpan_export.engines import stock_engine
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import Backend
from bnnpan_runtime.graph.onnx import OnnxBackend
from bnnpan_runtime.memory import peak_bytes, reset_peak, resident_bytes

RUNS = 2
"""The second run may take more than the first: allocators settle."""


def probe(bundle: Bundle, backend_name: str, side: int) -> int:
    """Peak bytes of opening the backend and fusing a window of noise, beyond what was held before."""
    network = bundle.manifest.network
    _engine(backend_name, bundle)  # the engine's code is in memory from here on
    random = np.random.default_rng(0)
    pan, lms = (random.random((bands, side, side), np.float32) for bands in (1, network.bands))
    out = np.ones_like(lms)
    affines = np.ones((network.blocks, 2, network.channels), np.float32)
    before = resident_bytes()
    reset_peak()
    backend = _engine(backend_name, bundle)
    arena = np.empty(backend.memory(side, side).arena_bytes, np.uint8)
    for _ in range(RUNS):
        backend.fuse(pan, lms, affines, out, arena)
    return max(0, peak_bytes() - before)


def _engine(name: str, bundle: Bundle) -> Backend:
    return OnnxBackend(bundle, kernels=True) if name == "onnx-kernels" else stock_engine(name, bundle)


if __name__ == "__main__":
    print(probe(Bundle.open(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
