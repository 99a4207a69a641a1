"""What the PAN at MS resolution costs a tile in scene units: share of the time, and memory.

python tests/bench/shrinking.py --tile 256 1024

CPU time of one thread, medians of interleaved repeats, beside the shipped network on the native engine;
memory of the scratch and of the margin of PAN around the tile.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.shrink import Shrinker

BANDS, RATIO = 4, 4
SCENE = 4096
UNITS = SceneUnits(1000.0, 300.0, (0.0,) * BANDS, (1.0,) * BANDS, (1.0,) * BANDS)


def main() -> None:
    """Print a line per tile size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tile", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    for side in options.tile:
        print(line(side, options.repeats))


def line(side: int, repeats: int) -> str:
    """Times and memory of one tile size."""
    bundle = Bundle.open("bgrn-x4")
    engine, affines = open_backend("native", bundle), bundle.golden().affines
    shrinker = Shrinker(Resampler(Grid(RATIO), "centred"), SCENE, SCENE)
    random, read = np.random.default_rng(0), side + 2 * shrinker.margin
    dn = random.integers(2048, size=(read, read)).astype(np.uint16)
    buffers = {name: np.empty(*array) for name, array in shrinker.arrays(side, side).items()}
    pan, lms = (random.random((bands, side, side), np.float32) for bands in (1, BANDS))
    out, arena = np.empty_like(lms), np.empty(engine.memory(side, side).arena_bytes, np.uint8)
    fusing, shrinking = [], []
    for _ in range(repeats):
        begun = time.process_time()
        engine.fuse(pan, lms, affines, out, arena)
        fused = time.process_time()
        shrinker.shrink(dn, Window(SCENE // 4, SCENE // 4, side, side), UNITS, None, buffers)
        fusing.append(fused - begun)
        shrinking.append(time.process_time() - fused)
    share = median(shrinking) / (median(shrinking) + median(fusing))
    taken = sum(buffer.nbytes for buffer in buffers.values()) + dn.nbytes - side * side * dn.itemsize
    return f"tile {side}: {share:.1%} of the time, {taken / MIB:.1f} MiB"


if __name__ == "__main__":
    main()
