"""The native engine: stages timed inside the library, whole windows from here; peaks of the processor."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnnpan_runtime.bench.contest import Run
from bnnpan_runtime.bench.engines import graph_runs
from bnnpan_runtime.bench.network import Images, Network
from bnnpan_runtime.bench.rows import Case
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import Tile, load
from bnnpan_runtime.graph.native import NativeBackend

__all__ = ["NativeCompetitor", "peaks"]

_STAGES = ("pack", "convolve", "unit", "trunk", "head", "tail", "lms", "quantise")
"""Order of `bnnpan_bench_stage`."""


@dataclass(frozen=True)
class NativeCompetitor:
    """The native backend; with `isa`, on that instruction set instead of the best."""

    isa: str | None = None
    stages: Sequence[str] = (*_STAGES, "graph", "tile")

    @property
    def name(self) -> str:
        """The backend's name, and the instruction set if it is not the best."""
        return "native" if self.isa is None else f"native-{self.isa}"

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Run]:
        """Raises BackendError without the library, or without this instruction set here."""
        backend = NativeBackend(network.weights, network.shape, self.isa)
        if case.stage not in _STAGES:
            return graph_runs(backend, network, images, case)
        return [_stage_run(backend, images, case.stage) for _ in range(case.threads)]


def peaks(isa: str) -> tuple[float, float]:
    """1-bit and float32 multiply-accumulates per second of one thread, in registers. Raises BackendError."""
    library = _library()
    binary, fused = ctypes.c_double(), ctypes.c_double()
    if library.bnnpan_bench_peaks(isa.encode(), ctypes.byref(binary), ctypes.byref(fused)):
        raise BackendError(f"native: instruction set {isa!r} is not available")
    return binary.value, fused.value


def _stage_run(backend: NativeBackend, images: Images, stage: str) -> Run:
    library, tile, index = _library(), Tile.of(images.product()), _STAGES.index(stage)
    arena = np.empty(library.bnnpan_bench_arena_bytes(backend.model, tile), np.uint8)
    seconds = ctypes.c_double()

    def run(count: int) -> float:
        arguments = (backend.model, tile, index, count, arena.ctypes.data, arena.nbytes)
        if library.bnnpan_bench_run(*arguments, ctypes.byref(seconds)):
            raise BackendError(f"native: stage {stage} cannot be timed on this window")
        return seconds.value

    return run


def _library() -> ctypes.CDLL:
    library = load()
    pointer, number, double = ctypes.c_void_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_double)
    tile = ctypes.POINTER(Tile)
    try:
        library.bnnpan_bench_arena_bytes.restype = ctypes.c_size_t
        library.bnnpan_bench_arena_bytes.argtypes = [pointer, tile]
        library.bnnpan_bench_run.argtypes = [
            *(pointer, tile, number, number, pointer, ctypes.c_size_t, double)
        ]
        library.bnnpan_bench_peaks.argtypes = [ctypes.c_char_p, double, double]
    except AttributeError as error:
        raise BackendError("native: this libbnnpan was built without its timings") from error
    return library
