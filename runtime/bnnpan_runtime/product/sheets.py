"""The files of a product that grow together, block by block: its pixels, and its mask where one is wanted.

Both have the same grid of blocks, and a block counts as finished only in both: one checksum is of both.
"""

from __future__ import annotations

from bnnpan_runtime.contract import Window
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid, checksum
from bnnpan_runtime.units import Pixels

__all__ = ["Sheets"]


class Sheets:
    """The open files of one product. Everything raises OSError."""

    def __init__(self, pixels: BlockFile, mask: BlockFile | None = None) -> None:
        self.pixels, self.mask = pixels, mask

    @property
    def grid(self) -> BlockGrid:
        """Blocks of the pixels; those of the mask lie likewise."""
        return self.pixels.grid

    def write(self, block: int, part: Window, pixels: Pixels, classes: Pixels | None) -> None:
        """A part of a block: DN `(bands, height, width)`, and classes `(1, height, width)` for a mask."""
        self.pixels.write(block, part, pixels)
        if self.mask is not None and classes is not None:
            self.mask.write(block, part, classes)

    def blank(self, block: int) -> None:
        """A block without any pixels."""
        for file in self._files:
            file.blank(block)

    def digest(self, block: int) -> bytes:
        """Checksum of a block as it lies in the files."""
        of_pixels = self.pixels.digest(block)
        if self.mask is None:
            return of_pixels
        return checksum(of_pixels + self.mask.digest(block))

    def sync(self) -> None:
        """Return when the disk holds what was written."""
        for file in self._files:
            file.sync()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    @property
    def _files(self) -> tuple[BlockFile, ...]:
        return (self.pixels,) if self.mask is None else (self.pixels, self.mask)
