"""Every tile computed twice and compared: for faults that leave no trace in memory.

A flip in a register, a cache or scratch memory spoils one computation and is gone. What two computations
agree on, by the CRC-32 of their pixels, is taken; if they do not, a third decides.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.telemetry import Telemetry
from bnnpan_runtime.telemetry.table import RESULTS_DIFFER, TILE_UNRELIABLE
from bnnpan_runtime.units import Pixels

__all__ = ["agreed"]


def agreed(compute: Callable[[], Pixels], tile: int, telemetry: Telemetry) -> None:
    """Call `compute`, which fills the same contiguous pixels each time, until two of three calls agree.

    The pixels are then those that two calls agree on. Raises VerificationError if all three differ.
    """
    first, second = zlib.crc32(compute().data), zlib.crc32(compute().data)
    if first == second:
        return
    telemetry.emit(RESULTS_DIFFER, tile=tile)
    if zlib.crc32(compute().data) in (first, second):
        return
    reason = "three computations gave three results"
    telemetry.emit(TILE_UNRELIABLE, tile=tile, reason=reason)
    raise VerificationError(
        f"tile {tile}: {reason}; it is not in the product, this computer is not reliable now"
    )
