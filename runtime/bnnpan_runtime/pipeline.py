"""Read, compute and write at the same time, with a bounded number of tiles under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Plan, Tile, Window
from bnnpan_runtime.graph.protocol import Backend, TileBackend
from bnnpan_runtime.guard import Guard
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
    is_done: Callable[[Window], bool] = lambda core: False,
    guard: Guard | None = None,
    order: Iterable[Tile] | None = None,
) -> Generator[Slot, None, None]:
    """Finished tiles of a scene in order, whatever order the threads finish them in.

    That is row by row, or the order of the tiles that are given.

    The caller's thread does all reading, and between two tiles all writing, since raster datasets belong to
    one thread; `plan.threads` others compute. With one slot more than threads, the next tile is read and the
    last one written while the others are computed. A slot is valid until the next one is asked for.

    Tiles whose core `is_done` are left out; a guard sees to each tile before it is handed on. Closing the
    generator does not wait for tiles under way: their threads end with them, and hold until then what they
    need.
    """
    workers = worker_count(plan.threads, plan.tiles)
    layout = tile_layout(scene, resampler, backend, plan.tile, plan.halo, plan.shrinks_pan)
    free = [Slot(layout) for _ in range(slot_count(plan.threads, plan.tiles))]
    benches: SimpleQueue[Bench] = SimpleQueue()
    for _ in range(workers):
        benches.put(Bench(layout, scene, resampler, backend))

    def compute(slot: Slot) -> Slot:
        bench = benches.get()
        try:
            if guard is None:
                return bench.fuse(slot, constants)
            return guard.compute(slot, lambda: bench.fuse(slot, constants))
        finally:
            benches.put(bench)

    def next_finished() -> Slot:
        slot = under_way.popleft().result()
        if guard is None:
            return slot
        return guard.approve(slot, lambda: pool.submit(compute, slot).result(), len(under_way))

    under_way: deque[Future[Slot]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fuse")
    try:
        for tile in order or tiles(scene.height, scene.width, plan.tile, plan.halo):
            if is_done(tile.core):
                continue
            if not free:
                slot = next_finished()
                yield slot
                free.append(slot)
            slot = free.pop()
            slot.read(scene, resampler, tile)
            under_way.append(pool.submit(compute, slot))
        while under_way:
            yield next_finished()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
