"""The product and its overviews, block by block: one pass over the finished mosaic.

Blocks are visited quarter by quarter, so that a block of an overview is made as soon as the four below it are
there. One block per overview is held, whatever the size of the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnnpan_runtime.finishing.halving import halve
from bnnpan_runtime.finishing.statistics import BandStatistics, Sums
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid
from bnnpan_runtime.units import Pixels

__all__ = ["Level", "Pyramid", "levels_of", "walk"]

Keep = Callable[[int, int, Pixels], None]
"""Takes a block of an overview: level, number of the block in it, DN `(side, side, bands)`."""


@dataclass(frozen=True)
class Level:
    """One resolution: pixels, and blocks of `side` pixels, row by row."""

    height: int
    width: int
    side: int

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

    def extent(self, row: int, col: int) -> tuple[int, int]:
        """Height and width of what a block shows of the level."""
        return min(self.side, self.height - row * self.side), min(self.side, self.width - col * self.side)


@dataclass(frozen=True)
class Pyramid:
    """What a pass has found: statistics, and the coarsest level `(rows, columns, bands)`, a single block."""

    statistics: tuple[BandStatistics, ...]
    top: Pixels


def levels_of(grid: BlockGrid) -> list[Level]:
    """The product, then overviews of half the size each, until one is a single block."""
    levels = [Level(grid.height, grid.width, grid.side)]
    while levels[-1].count > 1:
        last = levels[-1]
        levels.append(Level(-(-last.height // 2), -(-last.width // 2), grid.side))
    return levels


def walk(blocks: BlockFile, nodata: float | None, keep: Keep, pulse: Callable[[], None]) -> Pyramid:
    """Visit every block once. `pulse` is called for each of the product. Raises OSError."""
    return _Walk(blocks, nodata, keep, pulse).run()


class _Walk:
    def __init__(
        self, blocks: BlockFile, nodata: float | None, keep: Keep, pulse: Callable[[], None]
    ) -> None:
        self._blocks, self._nodata, self._keep, self._pulse = blocks, nodata, keep, pulse
        grid = blocks.grid
        self._levels = levels_of(grid)
        shape = (grid.side, grid.side, grid.bands)
        self._buffers: list[Pixels] = [allocate(shape, grid.dtype) for _ in self._levels]
        self._sums = Sums(grid.bands, nodata)

    def run(self) -> Pyramid:
        last = self._levels[-1]
        top = self._block(len(self._levels) - 1, 0, 0)[: last.height, : last.width].copy()
        return Pyramid(self._sums.statistics(), top)

    def _block(self, level: int, row: int, col: int) -> Pixels:
        """A block of a level, valid until the next one of this level."""
        number = row * self._levels[level].across + col
        if not level:
            block = self._buffers[0]
            self._blocks.read(number, block.transpose(2, 0, 1))
            height, width = self._levels[0].extent(row, col)
            self._sums.add(block[:height, :width])
            self._pulse()
            return block
        block, below, half = self._buffers[level], self._levels[level - 1], self._blocks.grid.side // 2
        block[...] = self._blocks.grid.fill
        for down in range(2):
            for across in range(2):
                place = 2 * row + down, 2 * col + across
                if place[0] >= below.down or place[1] >= below.across:
                    continue
                finer = self._block(level - 1, *place)
                height, width = below.extent(*place)
                part = block[down * half :, across * half :][: -(-height // 2), : -(-width // 2)]
                halve(finer, height, width, self._nodata, part)
        self._keep(level, number, block)
        return block
