"""The product as a Cloud Optimized GeoTIFF: a compressed copy of the mosaic, with overviews.

Written here and not by GDAL's COG driver: that works in one call, which no signal can end and during
which no heartbeat beats, puts temporary files of its own beside the product, and does not always tell when a
write failed (docs/product.md). Overviews lie before the pixels, the coarsest first, so that a reader has them
with one request.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bnnpan_runtime.finishing.cog_frame import CogFrame, Places
from bnnpan_runtime.finishing.pyramid import Pyramid, levels_of, walk
from bnnpan_runtime.finishing.tile_codec import TileCodec
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.product.block_file import BlockFile
from bnnpan_runtime.units import Pixels

__all__ = ["CogWriter"]

_SIZE = struct.Struct("<I")
_TRAILER_BYTES = 4

Pulse = Callable[[], None]


class CogWriter:
    """Makes the compressed copy of one mosaic in two passes: `survey`, then `write`. Both raise OSError.

    Overviews wait between the two in a file without a name, which no run leaves behind, however it ends.
    """

    def __init__(self, blocks: BlockFile, nodata: float | None, overviews: BinaryIO) -> None:
        self._blocks, self._nodata, self._overviews = blocks, nodata, overviews
        self._levels = levels_of(blocks.grid)
        self._codec = TileCodec(blocks.grid.dtype)
        self._waiting = [Places(level.count) for level in self._levels]

    @classmethod
    @contextmanager
    def beside(cls, product: Path, blocks: BlockFile, nodata: float | None) -> Iterator[CogWriter]:
        """A writer whose overviews wait on the product's disk."""
        with tempfile.TemporaryFile(dir=product.parent, buffering=0) as overviews:
            yield cls(blocks, nodata, overviews)

    def survey(self, pulse: Pulse) -> Pyramid:
        """Look at every pixel once, and keep the overviews, compressed."""
        return walk(self._blocks, self._nodata, self._keep, pulse)

    def write(self, path: Path, pyramid: Pyramid, pulse: Pulse) -> None:
        """Write the file, anew if it is there; the disk holds it when this returns."""
        with self._blocks.path.open("rb", buffering=0) as mosaic:
            plain = mosaic.read(self._blocks.first_byte)
        frame = CogFrame(plain, pyramid.statistics, self._levels, self._codec.predictor)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        try:
            places = [Places(level.count) for level in self._levels]
            end = frame.size
            for number in reversed(range(len(self._levels))):
                for block, data in enumerate(self._tiles(number)):
                    places[number].put(block, end + _SIZE.size, len(data))
                    end = _append(descriptor, end, data)
                    pulse()
            _write_all(descriptor, frame.encode(places), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _keep(self, level: int, number: int, block: Pixels) -> None:
        data = self._codec.encode(block)
        place = self._overviews.seek(0, os.SEEK_END)
        _write_all(self._overviews.fileno(), data, place)
        self._waiting[level].put(number, place, len(data))

    def _tiles(self, level: int) -> Iterator[bytes]:
        """Compressed blocks of a level, row by row."""
        if not level:
            grid = self._blocks.grid
            block = allocate((grid.side, grid.side, grid.bands), grid.dtype)
            for number in range(grid.count):
                self._blocks.read(number, block.transpose(2, 0, 1))
                yield self._codec.encode(block)
            return
        waiting = self._waiting[level]
        for place, size in zip(waiting.offsets, waiting.sizes, strict=True):
            data = os.pread(self._overviews.fileno(), size, place)
            if len(data) < size:
                raise OSError("the overviews kept on the disk end too early")
            yield data


def _append(descriptor: int, end: int, data: bytes) -> int:
    """A block with its size before and its last bytes once more behind it; the new end of the file."""
    framed = b"".join((_SIZE.pack(len(data)), data, data[-_TRAILER_BYTES:]))
    _write_all(descriptor, framed, end)
    return end + len(framed)


def _write_all(descriptor: int, data: bytes, start: int) -> None:
    """`pwrite` that goes on where a full disk or a signal has cut it short."""
    rest = memoryview(data)
    while rest:
        count = os.pwrite(descriptor, rest, start)
        rest, start = rest[count:], start + count
