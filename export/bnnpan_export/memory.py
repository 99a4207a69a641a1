"""What ONNX Runtime and the TFLite interpreter allocate for the graph of a bundle, measured and modelled."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bnnpan_runtime.contract import Manifest, MemoryModel
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.memory import MIB

__all__ = ["fit", "measure_memory"]

_WINDOWS = (16, 128, 192, 256, 384)
"""Sides measured for an engine that takes any window."""

_MARGIN = 1.1
"""Allocators grow in leaps: sizes between the measured ones may take a little more, and so may other runs."""

_STEP_FIXED_BYTES = 4 * MIB
_STEP_BYTES_PER_PIXEL = 128
"""Figures are rounded up to these steps: they stay on the safe side, and the same from run to run."""


def measure_memory(draft: Path, manifest: Manifest, backend: str) -> MemoryModel:
    """Memory of one backend to fuse a window.

    `draft` is a bundle with its graph. Raises `BackendError` if a measurement fails.
    """
    windows = _WINDOWS if backend == "onnx" else (manifest.tflite_window,)
    return fit([(side * side, _probe(draft, backend, side)) for side in windows])


def fit(measured: Sequence[tuple[int, int]]) -> MemoryModel:
    """A line above all measurements `(pixels, bytes)`: the smallest, then the steepest rise.

    All figures are rounded up.
    """
    (start_pixels, start_bytes), *rest = sorted(measured)
    rises = [(size_bytes - start_bytes) / (pixels - start_pixels) for pixels, size_bytes in rest]
    return MemoryModel(
        fixed_bytes=_ceil(_MARGIN * start_bytes, _STEP_FIXED_BYTES),
        bytes_per_window_pixel=float(_ceil(_MARGIN * max(rises, default=0.0), _STEP_BYTES_PER_PIXEL)),
    )


def _probe(draft: Path, backend: str, side: int) -> int:
    arguments = [sys.executable, "-m", "bnnpan_export.memory_probe", str(draft), backend, str(side)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"memory of the {backend} backend cannot be measured: {reason}")
    return int(done.stdout.split()[-1])


def _ceil(value: float, step: int) -> int:
    return max(0, math.ceil(value / step)) * step
