"""Read, compute and write at the same time, with a bounded number of tiles under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Plan
from bnnpan_runtime.graph.protocol import Backend, TileBackend
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.tiles import tiles
from bnnpan_runtime.worker import Bench, Slot, slot_count, tile_layout, worker_count

__all__ = ["fused_tiles"]


def fused_tiles(
    scene: Scene,
    resampler: Resampler,
    backend: Backend | TileBackend,
    constants: SceneConstants,
    plan: Plan,
) -> Generator[Slot, None, None]:
    """Finished tiles of a scene in order, whatever order the threads finish them in.

    The caller's thread does all reading, and between two tiles all writing, since raster datasets belong to
    one thread; `plan.threads` others compute. With one slot more than threads, the next tile is read and the
    last one written while the others are computed. A slot is valid until the next one is asked for.
    """
    workers = worker_count(plan.threads, plan.tiles)
    layout = tile_layout(scene, resampler, backend, plan.tile, plan.halo)
    free = [Slot(layout) for _ in range(slot_count(plan.threads, plan.tiles))]
    benches: SimpleQueue[Bench] = SimpleQueue()
    for _ in range(workers):
        benches.put(Bench(layout, scene, resampler, backend))

    def compute(slot: Slot) -> Slot:
        bench = benches.get()
        try:
            return bench.fuse(slot, constants)
        finally:
            benches.put(bench)

    under_way: deque[Future[Slot]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="fuse") as pool:
        try:
            for tile in tiles(scene.height, scene.width, plan.tile, plan.halo):
                if not free:
                    slot = under_way.popleft().result()
                    yield slot
                    free.append(slot)
                slot = free.pop()
                slot.read(scene, resampler, tile)
                under_way.append(pool.submit(compute, slot))
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
