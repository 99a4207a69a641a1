"""How a raster lies in its file, what reading it by windows takes, and the cache for its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rasterio
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.io import DatasetReader

__all__ = ["Storage", "raster_cache"]


@contextmanager
def raster_cache(size_bytes: int) -> Iterator[None]:
    """Limit GDAL's block cache, which the whole process shares; afterwards it is what it was before.

    An option of `rasterio.Env` would set it too, but leave it set.
    """
    with rasterio.Env(GDAL_NUM_THREADS=1):
        before = get_gdal_config("GDAL_CACHEMAX")
        set_gdal_config("GDAL_CACHEMAX", size_bytes)
        try:
            yield
        finally:
            set_gdal_config("GDAL_CACHEMAX", before)


@dataclass(frozen=True)
class Storage:
    """Size of a raster and of its blocks (tiles or strips), in pixels; `pixel_bytes` counts all bands."""

    height: int
    width: int
    block_height: int
    block_width: int
    pixel_bytes: int

    @classmethod
    def of(cls, raster: DatasetReader) -> Storage:
        """Storage of an open raster of unsigned integers."""
        block_height, block_width = raster.block_shapes[0]
        item_bytes = 1 if raster.dtypes[0] == "uint8" else 2
        return cls(raster.height, raster.width, block_height, block_width, raster.count * item_bytes)

    @property
    def decoded_bytes(self) -> int:
        """All blocks, decoded."""
        return _up(self.height, self.block_height) * _up(self.width, self.block_width) * self.pixel_bytes

    @property
    def block_bytes(self) -> int:
        """One block, decoded."""
        return self.block_height * self.block_width * self.pixel_bytes

    @property
    def decoder_bytes(self) -> int:
        """What decoding one block holds: the block, and the block as stored, which is seldom larger."""
        return 2 * self.block_bytes

    def row_of_windows_bytes(self, rows: int) -> int:
        """Blocks that a row of windows touches and the next touches again: its rows and two part blocks."""
        return (rows + 2 * self.block_height) * _up(self.width, self.block_width) * self.pixel_bytes

    def times_decoded(self, height: int, width: int, cache_bytes: int) -> float:
        """How often a pixel is decoded when windows of this size are read row by row through this cache.

        Once if the cache holds a row of windows; else again for the row below; and, with blocks so wide that
        it does not even hold those of two neighbouring windows (strips), again for each window of the row.
        """
        if cache_bytes >= min(self.row_of_windows_bytes(height), self.decoded_bytes):
            return 1.0
        across = min(width, self.width)
        rows, cols = (
            height + self.block_height,
            min(across + self.block_width, _up(self.width, self.block_width)),
        )
        again_below = rows / height
        return (
            again_below if 2 * rows * cols * self.pixel_bytes <= cache_bytes else again_below * cols / across
        )


def _up(length: int, step: int) -> int:
    return -(-length // step) * step
