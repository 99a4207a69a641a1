"""Memory that never should change while a run lasts, watched by checksums and repaired: radiation flips bits.

What is watched: the prepared network in the C library's memory, the library's own code and tables, the
constants of the scene and the taps of the interpolation. A tile is handed on only if all of it was intact
*after* the tile was computed; else the damage is repaired and every tile under way is computed again, so that
no pixel computed with damaged memory reaches the product. CRC-32 finds every flip of one bit, and any burst
within 32.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.errors import BnnpanError, VerificationError
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.telemetry import SILENT, Telemetry
from bnnpan_runtime.telemetry.table import MEMORY_DAMAGED, MEMORY_REPAIRED, TILE_REDONE, TILE_UNRELIABLE

__all__ = ["MOST_ATTEMPTS", "Region", "Scrubber", "WatchedBackend", "regions_of"]

MOST_ATTEMPTS = 8
"""Of one tile: memory that is damaged again each time is broken, not hit."""


@runtime_checkable
class WatchedBackend(Protocol):
    """An engine whose prepared network can be looked at and prepared anew."""

    @property
    def prepared_checksum(self) -> int:
        """CRC-32 of it, from when it was prepared."""
        ...

    def prepared(self) -> memoryview:
        """All of it, as it is now."""
        ...

    def prepare(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Prepare it again, in other memory, for the calls from now on. Raises BackendError."""
        ...

    def code(self) -> list[memoryview]:
        """Code and tables of its library."""
        ...


@dataclass(frozen=True)
class Region:
    """One piece of memory: its CRC-32 as it is now, and what repairs it or raises BnnpanError."""

    name: str
    checksum: Callable[[], int]
    repair: Callable[[], None]
    source: str
    expected: int | None = None
    """The checksum from the beginning; without it, that of the memory when the scrubber is made."""


class Scrubber:
    """Vouches for tiles: takes note of what memory holds when it is made, and compares.

    `check` and `vouch` belong to one thread; `generation` may be read by all.
    """

    def __init__(self, regions: list[Region], telemetry: Telemetry = SILENT) -> None:
        self._regions, self._telemetry = regions, telemetry
        self._expected = [r.checksum() if r.expected is None else r.expected for r in regions]
        self.generation = 0
        """Raised by each repair: what was begun under an earlier one cannot be trusted."""
        self.passes = 0

    def check(self) -> bool:
        """Whether everything is as it was; what is not is repaired, or VerificationError is raised."""
        self.passes += 1
        damaged = [at for at, region in enumerate(self._regions) if region.checksum() != self._expected[at]]
        for at in damaged:
            self._repair(at)
        if damaged:
            self.generation += 1
        return not damaged

    def vouch(self, tile: int, begun: int, again: Callable[[], int]) -> None:
        """Return once a tile that was begun in generation `begun` has been computed with intact memory.

        `again` computes it again and returns the generation it was begun in. Raises VerificationError.
        """
        try:
            for _ in range(MOST_ATTEMPTS):
                self.check()
                if begun == self.generation:
                    return
                self._telemetry.emit(
                    TILE_REDONE, tile=tile, reason="memory had changed until it was computed"
                )
                begun = again()
            raise VerificationError(f"memory is damaged again after {MOST_ATTEMPTS} repairs")
        except VerificationError as error:
            self._telemetry.emit(TILE_UNRELIABLE, tile=tile, reason=str(error))
            raise VerificationError(f"tile {tile} is not in the product: {error}; run again") from error

    def _repair(self, at: int) -> None:
        region = self._regions[at]
        self._telemetry.emit(MEMORY_DAMAGED, region=region.name)
        try:
            region.repair()
        except BnnpanError as error:
            raise VerificationError(
                f"{region.name} has changed in memory and cannot be repaired from {region.source} ({error})"
            ) from error
        self._expected[at] = region.checksum()
        self._telemetry.emit(MEMORY_REPAIRED, region=region.name, source=region.source)


def regions_of(
    engine: object, bundle: Bundle | None, constants: SceneConstants, resampler: Resampler
) -> list[Region]:
    """What is to be watched in a run; code first, since the rest is repaired by it."""
    return [
        *_network(engine, bundle),
        _array("affines of the scene", constants.affines),
        _array("taps along rows", resampler.row_taps.weights),
        _array("taps along columns", resampler.col_taps.weights),
        _units(constants.units),
    ]


def _network(engine: object, bundle: Bundle | None) -> Iterator[Region]:
    if bundle is None or not isinstance(engine, WatchedBackend):
        return
    code = engine.code()
    yield Region("code of libbnnpan", lambda: _crc(*code), _cannot_be_repaired, "its file")
    yield Region(
        "prepared network",
        lambda: _crc(engine.prepared()),
        lambda: engine.prepare(bundle.weights()),
        bundle.path.name,
        engine.prepared_checksum,
    )


def _cannot_be_repaired() -> None:
    raise VerificationError("the program uses it while it runs")


def _array(name: str, array: NDArray[Any]) -> Region:
    def write(content: bytes) -> None:
        ctypes.memmove(array.ctypes.data, content, len(content))

    return _copied(name, array.tobytes, write)


def _units(units: SceneUnits) -> Region:
    """Units are values of Python, which are not repaired but replaced."""

    counts = [len(value) if isinstance(value, tuple) else 0 for value in vars(units).values()]
    names = list(vars(units))

    def content() -> bytes:
        values = vars(units).values()
        flat = [number for value in values for number in (value if isinstance(value, tuple) else (value,))]
        return struct.pack(f"<{len(flat)}d", *flat)

    def write(packed: bytes) -> None:
        numbers = iter(struct.unpack(f"<{len(packed) // 8}d", packed))
        for name, count in zip(names, counts, strict=True):
            value = tuple(islice(numbers, count)) if count else next(numbers)
            object.__setattr__(units, name, value)  # frozen for everybody else

    return _copied("units of the scene", content, write)


def _copied(name: str, content: Callable[[], bytes], write: Callable[[bytes], None]) -> Region:
    """A region small enough for a copy, which has a checksum of its own."""
    kept = content()
    expected = _crc(kept)

    def repair() -> None:
        # If both are alike, it was the checksum that changed.
        if _crc(kept) != expected and content() != kept:
            raise VerificationError("the copy has changed, too")
        write(kept)

    return Region(name, lambda: _crc(content()), repair, "a copy")


def _crc(*parts: bytes | memoryview) -> int:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum
