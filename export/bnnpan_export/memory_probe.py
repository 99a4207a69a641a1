"""Measure one engine's memory in a process of its own.

    python -m bnnpan_export.memory_probe BUNDLE BACKEND STEP SIDE

BACKEND is "onnx" or "tflite", without the kernels of libbnnpan, or "onnx-kernels". STEP is `fuse`, on a
window of SIDE x SIDE pixels, or `calibrate`. Prints the bytes of the peak that its allocator took for
loading and running the graph, without the engine's code, inputs and outputs.
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


def probe(bundle: Bundle, backend_name: str, step: str, side: int) -> int:
    """Peak bytes of opening the backend and running one step on noise, beyond what was held before."""
    network, calibration = bundle.manifest.network, bundle.manifest.calibration
    _engine(backend_name, bundle)  # the engine's code is in memory from here on
    count, side = (calibration.count, calibration.patch) if step == "calibrate" else (1, side)
    random = np.random.default_rng(0)
    pan = random.random((count, 1, side, side), np.float32)
    lms = random.random((count, network.bands, side, side), np.float32)
    out = np.ones_like(lms[0])
    affines = np.ones((network.blocks, 2, network.channels), np.float32)
    before = resident_bytes()
    reset_peak()
    backend = _engine(backend_name, bundle)
    arena = np.empty(backend.memory(side, side).arena_bytes, np.uint8)
    for _ in range(RUNS):
        if step == "calibrate":
            backend.calibrate(pan, lms)
        else:
            backend.fuse(pan[0], lms[0], affines, out, arena)
    return max(0, peak_bytes() - before)


def _engine(name: str, bundle: Bundle) -> Backend:
    return OnnxBackend(bundle, kernels=True) if name == "onnx-kernels" else stock_engine(name, bundle)


if __name__ == "__main__":
    print(probe(Bundle.open(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
