"""The least a product costs: read PAN, write it into every band, block by block; a process of its own.

python -m bnnpan_runtime.bench.floor PAN BANDS OUT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.windows import Window

from bnnpan_runtime.memory import MIB, peak_bytes, reset_peak
from bnnpan_runtime.product.mosaic import BLOCK
from bnnpan_runtime.storage import raster_cache

_CACHE_BYTES = 16 * MIB
_WINDOW = 2 * BLOCK


def main(arguments: Sequence[str]) -> None:
    """Copy, then print what it took: memory, and time without that of starting Python."""
    started, cpu_started = time.perf_counter(), time.process_time()
    source, target, bands = arguments[0], arguments[2], int(arguments[1])
    reset_peak()
    with raster_cache(_CACHE_BYTES), rasterio.open(source) as pan:
        layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "pixel"}
        form = {"driver": "GTiff", "count": bands, "dtype": pan.dtypes[0]}
        place = {"crs": pan.crs, "transform": pan.transform, "height": pan.height, "width": pan.width}
        with rasterio.open(target, "w", **form, **place, **layout) as product:
            for row in range(0, pan.height, _WINDOW):
                for col in range(0, pan.width, _WINDOW):
                    height, width = min(_WINDOW, pan.height - row), min(_WINDOW, pan.width - col)
                    window = Window(col, row, width, height)
                    pixels = pan.read(1, window=window)
                    product.write(np.broadcast_to(pixels, (bands, height, width)), window=window)
    report = {
        "measured_peak_bytes": peak_bytes(),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
