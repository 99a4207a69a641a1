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

__all__ = ["BLOCK", "DIGEST_BYTES", "BlockFile", "BlockGrid"]

BLOCK = 256
"""PAN pixels along a block of the product: the size every reader handles well."""

DIGEST_BYTES = 16
"""Of BLAKE2b, which needs no special instructions to be fast: chance does not find a second block with it."""


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

    def pixels(self, block: int) -> int:
        """Pixels of the scene in a block."""
        row, col = divmod(block, self.across)
        height = min(self.side, self.height - row * self.side)
        return height * min(self.side, self.width - col * self.side)


class BlockFile:
    """A file with all its blocks laid out, open for reading and writing; `first_byte` is where they begin.

    A new one must not exist, and is to be filled. Everything raises OSError. The buffer takes one block.
    """

    def __init__(self, path: Path, grid: BlockGrid, first_byte: int, *, is_new: bool = False) -> None:
        self.path, self.grid, self.first_byte = path, grid, first_byte
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
        self._buffer.view(self.grid.dtype)[:] = self.grid.fill
        for block in range(self.grid.count):
            _write_all(self._descriptor, self._buffer, self._offset(block))

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
        return self._digest_of(self._offset(block), self.grid.block_bytes)

    def frame_digest(self) -> bytes:
        """Checksum of everything in the file that is not pixels."""
        end = self._offset(self.grid.count)
        return self._digest_of(0, self.first_byte) + self._digest_of(end, self.size - end)

    def sync(self) -> None:
        """Return when the disk holds what was written."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; nothing is buffered here."""
        os.close(self._descriptor)

    def _offset(self, block: int) -> int:
        return self.first_byte + block * self.grid.block_bytes

    def _digest_of(self, start: int, length: int) -> bytes:
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        while length > 0:
            count = os.preadv(self._descriptor, [self._buffer[:length].data], start)
            if count == 0:
                raise OSError("the file ends too early")
            digest.update(self._buffer[:count].data)
            start, length = start + count, length - count
        return digest.digest()


def _write_all(descriptor: int, data: NDArray[np.uint8], start: int) -> None:
    """`pwrite` that goes on where a full disk or a signal has cut it short."""
    while len(data):
        count = os.pwrite(descriptor, data.data, start)
        data, start = data[count:], start + count
