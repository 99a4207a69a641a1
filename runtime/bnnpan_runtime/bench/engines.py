"""Backends of the runtime, and other engines behind the same protocol, as competitors on whole windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bnnpan_runtime.bench.contest import Run, timed
from bnnpan_runtime.bench.network import Images, Network
from bnnpan_runtime.bench.rows import Case
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import Backend
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.tile_engine import engine_arrays, tile_engine

__all__ = ["BackendCompetitor", "graph_runs"]


@dataclass(frozen=True)
class BackendCompetitor:
    """A backend that `open` makes of a bundle.

    one_call_at_a_time  calls from several threads would wait for each other
    """

    name: str
    open: Callable[[Bundle], Backend]
    stages: Sequence[str] = ("graph", "tile")
    one_call_at_a_time: bool = False

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Run]:
        """Raises BackendError without the engine or its threads, BundleError without its graph."""
        if self.one_call_at_a_time and case.threads > 1:
            raise BackendError("runs one window at a time: timed on one thread only")
        return graph_runs(self.open(network.graphs), network, images, case)


def graph_runs(backend: Backend, network: Network, images: Images, case: Case) -> Sequence[Run]:
    """One run per thread: float images to float images for "graph", DN to DN for "tile"."""
    if backend.fixed_window not in (None, case.tile):
        raise BackendError(f"its graph takes windows of {backend.fixed_window} pixels a side only")
    make = _tile_run if case.stage == "tile" else _graph_run
    return [make(backend, network, images) for _ in range(case.threads)]


def _graph_run(backend: Backend, network: Network, images: Images) -> Run:
    height, width = images.pan.shape[-2:]
    out = np.empty_like(images.lms)
    arena = allocate((backend.memory(height, width).arena_bytes,), np.uint8)
    return timed(lambda: backend.fuse(images.pan, images.lms, images.affines, out, arena))


def _tile_run(backend: Backend, network: Network, images: Images) -> Run:
    tile, resampler = images.product(), images.resampler
    arrays = engine_arrays(backend, resampler, network.shape.bands, images.window.height, images.window.width)
    engine = tile_engine(backend, resampler, arrays)
    return timed(lambda: engine.fuse(tile, images.window, images.affines))
