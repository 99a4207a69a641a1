"""How a raster lies in its files, what reading it by windows takes, and the cache for its blocks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from bnnpan_runtime.jpeg2000 import tile_shape
from bnnpan_runtime.scene.raster import Part, Raster

__all__ = ["Storage", "raster_cache"]

_COUNTED_BLOCK_BYTES, _COUNTED_BLOCKS = 2**20, 4096
"""Of a TIFF with blocks as large as this, and not more of them, it is looked up how large they are stored."""

_LERC_BLOCKS = 2.25
"""LERC: measured 2.05."""

_JPEG2000_BYTES = 5
"""Per pixel and band of a JPEG 2000 tile while a part of it is decoded: measured 4.2 with OpenJPEG."""


@contextmanager
def raster_cache(size_bytes: int) -> Iterator[None]:
    """Limit GDAL's block cache, which the whole process shares; afterwards it is what it was before.

    An option of `rasterio.Env` would set it too, but leave it set. Code inside a virtual raster is not run,
    whatever the environment says.
    """
    with rasterio.Env(GDAL_NUM_THREADS=1, GDAL_VRT_ENABLE_PYTHON="NO"):
        before = get_gdal_config("GDAL_CACHEMAX")
        set_gdal_config("GDAL_CACHEMAX", size_bytes)
        try:
            yield
        finally:
            set_gdal_config("GDAL_CACHEMAX", before)


@dataclass(frozen=True)
class Storage:
    """Size of a raster and of its blocks (tiles or strips), in pixels.

    pixel_bytes    of all bands that are decoded together, and of masks
    decoder_bytes  what decoding one block holds
    """

    height: int
    width: int
    block_height: int
    block_width: int
    pixel_bytes: int
    decoder_bytes: int

    @classmethod
    def of(cls, raster: Raster) -> Storage:
        """Storage of an open raster: of several files, the largest blocks and all bands."""
        files: dict[int, Part] = {}
        for part in raster.parts:  # a file has several where its bands are not next to each other
            known = files.get(id(part.dataset))
            files[id(part.dataset)] = replace(part, bands=known.bands + part.bands) if known else part
        storages = [_of_file(part) for part in files.values()]
        return _combined(storages, sum(storage.pixel_bytes for storage in storages))

    @property
    def decoded_bytes(self) -> int:
        """All blocks, decoded."""
        return _up(self.height, self.block_height) * _up(self.width, self.block_width) * self.pixel_bytes

    @property
    def block_bytes(self) -> int:
        """One block, decoded."""
        return self.block_height * self.block_width * self.pixel_bytes

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


def _of_file(part: Part) -> Storage:
    dataset = part.dataset
    height, width = dataset.shape
    block_height, block_width = dataset.block_shapes[0]
    # Where bands are interleaved by pixel, GDAL decodes and keeps all of them.
    by_band = dataset.interleaving is Interleaving.band
    bands = {*part.bands, *([part.alpha] if part.alpha else [])} if by_band else set(dataset.indexes)
    pixel_bytes = sum(np.dtype(dataset.dtypes[band - 1]).itemsize for band in bands)
    pixel_bytes += len({band for band in part.masks if band is not None})
    block_bytes = block_height * block_width * pixel_bytes
    compression = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "")
    blocks = _LERC_BLOCKS if compression.startswith("LERC") else 1 + _stored_share(dataset, block_bytes)
    decoder_bytes = int(block_bytes * blocks)
    own = Storage(height, width, block_height, block_width, pixel_bytes, decoder_bytes)
    if dataset.driver == "VRT":
        storages = [own, *_sources(dataset)]
        return _combined(storages, max(storage.pixel_bytes for storage in storages))
    if dataset.driver.startswith("JP2") or compression == "JPEG2000":
        tile = tile_shape(dataset.files[0] if dataset.files else dataset.name) or dataset.shape
        decoder = decoder_bytes + _JPEG2000_BYTES * math.prod(tile) * len(bands)
        return replace(own, decoder_bytes=decoder)
    return own


def _stored_share(dataset: DatasetReader, block_bytes: int) -> float:
    """Size of the largest block as it is stored, which is read whole, over that of a block; 1 if unknown.

    Small blocks do not matter, and a stored block is seldom larger than decoded: measured 1.2 at most.
    """
    block_height, block_width = dataset.block_shapes[0]
    down, across = -(-dataset.height // block_height), -(-dataset.width // block_width)
    if dataset.driver != "GTiff" or block_bytes < _COUNTED_BLOCK_BYTES or down * across > _COUNTED_BLOCKS:
        return 1.0
    bands = dataset.indexes if dataset.interleaving is Interleaving.band else (1,)
    sizes = (
        int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band) or 0)
        for band in bands
        for row in range(down)
        for col in range(across)
    )
    return max(sizes) / block_bytes


def _combined(storages: Sequence[Storage], pixel_bytes: int) -> Storage:
    """Of files that show an image of the first one's size, together or each a part of it."""
    return Storage(
        height=storages[0].height,
        width=storages[0].width,
        block_height=max(storage.block_height for storage in storages),
        block_width=max(storage.block_width for storage in storages),
        pixel_bytes=pixel_bytes,
        decoder_bytes=max(storage.decoder_bytes for storage in storages),
    )


def _sources(dataset: DatasetReader) -> Iterator[Storage]:
    """Of the files that a virtual raster refers to, as far as they are rasters."""
    for path in dataset.files[1:]:
        try:
            with warnings.catch_warnings(action="ignore"), rasterio.open(path) as source:
                yield _of_file(Part(source, tuple(source.indexes)))
        except RasterioError:
            continue  # reading the pixels will say so


def _up(length: int, step: int) -> int:
    return -(-length // step) * step
