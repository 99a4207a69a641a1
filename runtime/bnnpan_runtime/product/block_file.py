"""The product's file as blocks: laid out whole, then filled in place, block by block.

Every block lies uncompressed at a known place from the start. The space is claimed, a reader finds a whole
TIFF at any time, and the file's bytes do not depend on the order or the size of the tiles. Pixels are written
straight to the file, past GDAL's cache, so that it is known what the disk holds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.units import Pixels

__all__ = ["BLOCK", "DIGEST_BYTES", "BlockFile", "BlockGrid", "checksum"]

BLOCK = 256
"""PAN pixels along a block of the product: the size every reader handles well."""

DIGEST_BYTES = 16
"""Of BLAKE2b, which needs no special instructions to be fast: chance does not find a second block with it."""


def checksum(data: bytes) -> bytes:
    """What `BlockFile` takes of bytes in a file."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class BlockGrid:
    """How the blocks of a product follow one another: row by row, all of one size, padded at the edges.

    pixel_bytes  one pixel with all its bands
    fill         DN of what is not written, and of the padding
    """

    height: int
    width: int
    side: int
    pixel_bytes: int
    dtype: str
    fill: float = 0

    @classmethod
    def of(cls, form: ProductFormat) -> BlockGrid:
        """Blocks of a product of this form."""
        pixel_bytes = form.bands * np.dtype(form.dtype).itemsize
        return cls(form.height, form.width, BLOCK, pixel_bytes, form.dtype, form.nodata or 0)

    @property
    def bands(self) -> int:
        """Of a pixel."""
        return self.pixel_bytes // np.dtype(self.dtype).itemsize

    @property
    def down(self) -> int:
        """Rows of blocks."""
        return -(-self.height // self.side)

    @property
    def across(self) -> int:
        """Blocks in a row."""
        return -(-self.width // self.side)

    @property
    def count(self) -> int:
        """Number of blocks."""
        return self.down * self.across

    @property
    def block_bytes(self) -> int:
        """One block in the file."""
        return self.side**2 * self.pixel_bytes

    @property
    def all_bytes(self) -> int:
        """All blocks in the file."""
        return self.count * self.block_bytes

    def parts(self, area: Window) -> Iterator[tuple[int, Window]]:
        """The blocks that an area touches, and what it covers of each, in pixels of the scene."""
        bottom, right = area.row + area.height, area.col + area.width
        for block_row in range(area.row // self.side, -(-bottom // self.side)):
            for block_col in range(area.col // self.side, -(-right // self.side)):
                top, left = max(area.row, block_row * self.side), max(area.col, block_col * self.side)
                height = min(bottom, (block_row + 1) * self.side) - top
                width = min(right, (block_col + 1) * self.side) - left
                yield block_row * self.across + block_col, Window(top, left, height, width)

    def with_padding(self, part: Window) -> tuple[int, int]:
        """Height and width of a part of a block together with the padding that lies below and right of it."""
        height = part.height if part.row + part.height < self.height else self.side - part.row % self.side
        width = part.width if part.col + part.width < self.width else self.side - part.col % self.side
        return height, width

    def area(self, block: int) -> Window:
        """The pixels of the scene in a block."""
        row, col = (place * self.side for place in divmod(block, self.across))
        return Window(row, col, min(self.side, self.height - row), min(self.side, self.width - col))

    def pixels(self, block: int) -> int:
        """How many pixels of the scene are in a block."""
        area = self.area(block)
        return area.height * area.width


class BlockFile:
    """A file with all its blocks laid out, open for reading and writing; `first_byte` is where they begin.

    A new one must not exist, and is to be filled. Everything raises OSError. The buffer takes one block.
    `late` are those bytes before the blocks that are written last; no checksum sees them.
    """

    def __init__(self, path: Path, grid: BlockGrid, first_byte: int, *, is_new: bool = False) -> None:
        self.path, self.grid, self.first_byte = path, grid, first_byte
        self.late = range(first_byte, first_byte)
        creating = os.O_CREAT | os.O_EXCL if is_new else 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | creating, 0o666)
        self._buffer: NDArray[np.uint8] = allocate((grid.block_bytes,), np.uint8)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._descriptor).st_size

    def fill(self, frame: bytearray) -> None:
        """Write everything: what comes before the blocks, and blocks without any pixels."""
        _write_all(self._descriptor, np.frombuffer(frame, np.uint8), 0)
        for block in range(self.grid.count):
            self.blank(block)

    def blank(self, block: int) -> None:
        """Write a block without any pixels."""
        self._buffer.view(self.grid.dtype)[:] = self.grid.fill
        _write_all(self._descriptor, self._buffer, self._offset(block))

    def write_late(self, data: bytes) -> None:
        """Write the bytes that are only known at the end; as many as there is room for."""
        _write_all(self._descriptor, np.frombuffer(data, np.uint8), self.late.start)

    def read(self, block: int, out: Pixels) -> None:
        """The pixels of a block into `out` `(bands, height, width)`, as much of it as that takes."""
        bands, height, width = out.shape
        self._fetch(self._offset(block), self.grid.block_bytes)
        pixels = self._buffer.view(self.grid.dtype).reshape(self.grid.side, self.grid.side, bands)
        np.copyto(out, pixels[:height, :width].transpose(2, 0, 1))

    def write(self, block: int, part: Window, pixels: Pixels) -> None:
        """Write DN `(bands, height, width)` into a part of a block, and anew the padding beside it."""
        grid = self.grid
        height, width = grid.with_padding(part)
        data = self._buffer[: height * width * grid.pixel_bytes]
        interleaved = data.view(grid.dtype).reshape(height, width, -1)
        interleaved[part.height :] = grid.fill
        interleaved[: part.height, part.width :] = grid.fill
        np.copyto(interleaved[: part.height, : part.width], pixels.transpose(1, 2, 0))
        row_bytes = grid.side * grid.pixel_bytes
        start = self._offset(block) + part.row % grid.side * row_bytes
        start += part.col % grid.side * grid.pixel_bytes
        if width == grid.side:
            _write_all(self._descriptor, data, start)
            return
        for index, row in enumerate(data.reshape(height, -1)):
            _write_all(self._descriptor, row, start + index * row_bytes)

    def digest(self, block: int) -> bytes:
        """Checksum of a block as it lies in the file."""
        return self._digest_of((self._offset(block), self._offset(block + 1)))

    def frame_digest(self) -> bytes:
        """Checksum of everything in the file that is not pixels."""
        before = ((0, self.late.start), (self.late.stop, self.first_byte))
        return self._digest_of(*before) + self._digest_of((self._offset(self.grid.count), self.size))

    def sync(self) -> None:
        """Return when the disk holds what was written."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; nothing is buffered here."""
        os.close(self._descriptor)

    def _offset(self, block: int) -> int:
        return self.first_byte + block * self.grid.block_bytes

    def _digest_of(self, *spans: tuple[int, int]) -> bytes:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for start, end in spans:
            for place in range(start, end, len(self._buffer)):
                count = min(len(self._buffer), end - place)
                self._fetch(place, count)
                digest.update(self._buffer[:count].data)
        return digest.digest()

    def _fetch(self, start: int, length: int) -> None:
        """Bytes of the file to the beginning of the buffer."""
        done = 0
        while done < length:
            count = os.preadv(self._descriptor, [self._buffer[done:length].data], start + done)
            if count == 0:
                raise OSError("the file ends too early")
            done += count


def _write_all(descriptor: int, data: NDArray[np.uint8], start: int) -> None:
    """`pwrite` that goes on where a full disk or a signal has cut it short."""
    while len(data):
        count = os.pwrite(descriptor, data.data, start)
        data, start = data[count:], start + count
