"""Two threads on whole tiles against two threads on stripes of one tile: what a tile takes, in milliseconds.

python tests/bench/stripes.py --tile 256 512

A stripe computes its half of the rows and the halo below them. Waiting for the other stripe is not counted,
nor are the tile's reading and writing, so stripes are shown at their best. Medians of interleaved repeats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import numpy as np

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.graph.protocol import Backend

THREADS = 2


def main() -> None:
    """Print a line per tile size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tile", type=int, nargs="+", default=[256])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    bundle = Bundle.open("bgrn-x4")
    network, halo = bundle.manifest.network, bundle.manifest.halo
    backend = open_backend("native", bundle)
    with ThreadPoolExecutor(THREADS) as pool:
        for side in options.tile:
            count = max(1, 2 * 512**2 // side**2)
            jobs = {
                "one thread": partial(seconds, pool, [window(backend, network, side, side)], count),
                "two threads, two tiles": partial(
                    seconds, pool, windows(backend, network, side, side), count
                ),
                "two threads, a stripe each": partial(
                    seconds, pool, windows(backend, network, side // 2 + halo, side), count
                ),
            }
            taken: dict[str, list[float]] = {name: [] for name in jobs}
            for _ in range(options.repeats):
                for name, job in jobs.items():
                    taken[name].append(job())
            found = {name: 1e3 * median(times) for name, times in taken.items()}
            found["two threads, two tiles"] /= 2
            alone = found["one thread"]
            print(
                f"tile {side}:",
                *(f"{n} {ms:.2f} ms ({alone / ms:.2f}x)" for n, ms in found.items()),
                sep="  ",
            )


def windows(backend: Backend, network: NetworkShape, height: int, width: int) -> list[Callable[[], None]]:
    """One window for each thread."""
    return [window(backend, network, height, width) for _ in range(THREADS)]


def window(backend: Backend, network: NetworkShape, height: int, width: int) -> Callable[[], None]:
    """A call that fuses a window of random images."""
    random = np.random.default_rng(0)
    pan = random.random((1, height, width), np.float32)
    lms = random.random((network.bands, height, width), np.float32)
    affines = np.ones((network.blocks, 2, network.channels), np.float32)
    out, arena = np.empty_like(lms), np.empty(backend.memory(height, width).arena_bytes, np.uint8)
    return lambda: backend.fuse(pan, lms, affines, out, arena)


def seconds(pool: ThreadPoolExecutor, calls: list[Callable[[], None]], count: int) -> float:
    """Seconds of one round, each call made `count` times by a thread of its own."""

    def repeat(call: Callable[[], None]) -> None:
        for _ in range(count):
            call()

    start = time.perf_counter()
    for done in [pool.submit(repeat, call) for call in calls]:
        done.result()
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()
