"""The tflite backend: its golden tile, threads, memory, and what it says where it cannot run."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from litert_runs import WINDOW, images
from requirements import require_package

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.litert import LiteRtEngine
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.graph.tflite import TfliteBackend
from bnnpan_runtime.verify import golden_check

require_package("ai_edge_litert")


@pytest.fixture
def backend(bundle: Bundle) -> Backend:
    return open_backend("tflite", bundle)


def test_the_backend_passes_the_golden_tile(backend: Backend, bundle: Bundle) -> None:
    check = golden_check(backend, bundle)
    assert check.passed, check.detail
    assert backend.isa.startswith("ai-edge-litert ") and backend.isa.endswith(" kernels")
    assert backend.fixed_window is None


def test_larqs_interpreter_passes_the_golden_tile_at_its_fixed_size(bundle: Bundle) -> None:
    require_package("larq_compute_engine")
    engine = TfliteBackend(bundle, LarqEngine())
    assert engine.fixed_window == WINDOW and engine.isa == "larq-compute-engine"
    assert golden_check(engine, bundle).passed


def planes(height: int, width: int) -> list[Float32]:
    pan, lms, affines = images(height, width)
    return [np.ascontiguousarray(image[0].transpose(2, 0, 1)) for image in (pan, lms)] + [affines]


def test_calls_from_several_threads_do_not_meet(backend: Backend) -> None:
    def fused(side: int) -> Float32:
        pan, lms, affines = planes(side, side)
        out = np.empty_like(lms)
        backend.fuse(pan, lms, affines, out, np.empty(0, np.uint8))
        return out

    sides = [64, 96, 128] * 6
    alone = {side: fused(side) for side in set(sides)}
    with ThreadPoolExecutor(4) as pool:
        for side, out in zip(sides, pool.map(fused, sides), strict=True):
            np.testing.assert_array_equal(out, alone[side])


QUIET = """
import numpy as np
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.memory import peak_bytes, reset_peak, resident_bytes

bundle, side = Bundle.open("bgrn-x4"), 512
network, calibration = bundle.manifest.network, bundle.manifest.calibration
open_backend("tflite", bundle)
lms, pan = np.ones((network.bands, side, side), np.float32), np.ones((1, side, side), np.float32)
patches = [
    np.ones((calibration.count, bands, calibration.patch, calibration.patch), np.float32)
    for bands in (1, network.bands)
]
out, affines = np.ones_like(lms), np.ones((network.blocks, 2, network.channels), np.float32)


def measured(step):
    before = resident_bytes()
    reset_peak()
    step()
    return peak_bytes() - before


engine = open_backend("tflite", bundle)
print(measured(lambda: engine.fuse(pan, lms, affines, out, np.empty(0, np.uint8))))
print(engine.memory(side, side).library_bytes)
print(measured(lambda: engine.calibrate(*patches)))
print(engine.calibration_bytes(calibration.count, calibration.patch))
"""


def test_a_run_stays_within_its_memory_and_says_nothing(subprocess_environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", QUIET]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    fuse, fuse_promised, calibrate, calibrate_promised = map(int, result.stdout.split())
    assert 0.5 * fuse_promised < fuse <= fuse_promised
    assert 0.5 * calibrate_promised < calibrate <= calibrate_promised


def test_without_any_interpreter_the_backend_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "larq_compute_engine", None)
    with pytest.raises(BackendError, match=r"bnnpan-runtime\[tflite\].*larq-compute-engine"):
        open_backend("tflite", bundle)


def test_an_unknown_instruction_set_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "larq_compute_engine", None)
    monkeypatch.setenv("BNNPAN_ISA", "abacus")
    with pytest.raises(BackendError, match="abacus"):
        open_backend("tflite", bundle)


def test_a_damaged_graph_is_refused() -> None:
    with pytest.raises(BackendError, match=r"LiteRT refuses x\.tflite"):
        LiteRtEngine().open(b"no flatbuffer", "x.tflite")
