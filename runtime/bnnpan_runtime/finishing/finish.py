"""What is made of a mosaic that is complete, before it gets the product's name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import rasterio

from bnnpan_runtime.durable_file import write_file
from bnnpan_runtime.finishing.cog import CogWriter
from bnnpan_runtime.finishing.order import Finishing, thumbnail_path
from bnnpan_runtime.finishing.pyramid import Pyramid, levels_of, walk
from bnnpan_runtime.finishing.statistics import BandStatistics
from bnnpan_runtime.finishing.thumbnail import thumbnail
from bnnpan_runtime.memory import MIB, peak_bytes, resident_bytes
from bnnpan_runtime.product.beginning import hidden
from bnnpan_runtime.product.block_file import BlockGrid
from bnnpan_runtime.product.mosaic import Mosaic
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from bnnpan_runtime.method import Method

__all__ = ["Finished", "finish", "finishing_bytes"]

_BLOCKS = 4
"""Held beside one per level: a compressed one in pieces and whole, and two of the mosaic."""

_BYTES_PER_BLOCK = 128
"""Places of a block and of its share of the overviews, and the directories that tell them."""

_GROWTH_BYTES = 3 * MIB
"""Code and heap first touched here: compression, pictures, coordinate systems."""

_SECONDS_BETWEEN_SIGNS = 1.0


@dataclass(frozen=True)
class Finished:
    """What the last steps have made.

    file        what becomes the product
    copy        that file, if it is not the one that the tiles were written to
    statistics  per band, if the pixels were looked at
    thumbnail   the picture beside the product
    """

    file: Path
    copy: Path | None = None
    statistics: tuple[BandStatistics, ...] | None = None
    thumbnail: Path | None = None


def finishing_bytes(form: ProductFormat, wanted: Finishing) -> int:
    """Memory that the last steps take when the tiles are done."""
    if not wanted.looks_at_pixels:
        return 0
    grid = BlockGrid.of(form)
    blocks = (len(levels_of(grid)) + _BLOCKS) * grid.block_bytes
    return blocks + _BYTES_PER_BLOCK * grid.count + _GROWTH_BYTES


def finish(mosaic: Mosaic, method: Method, wanted: Finishing, telemetry: Telemetry) -> Finished:
    """Make what is wanted of a closed mosaic with all its blocks. Raises OSError or OutputError."""
    if not wanted.looks_at_pixels:
        return Finished(mosaic.written)
    if mosaic.is_copy:
        return _finished_before(mosaic.path, wanted)
    blocks, product, nodata = mosaic.sheets.pixels, mosaic.path, method.scene.nodata
    sign = _SignOfLife(telemetry)
    if not wanted.cog:
        pyramid = walk(blocks, nodata, _forget, sign)
        return Finished(blocks.path, None, pyramid.statistics, _pictured(product, pyramid, method, wanted))
    with CogWriter.beside(product, blocks, nodata) as writer:
        pyramid = writer.survey(sign)
        picture = _pictured(product, pyramid, method, wanted)
        copy = hidden(product, "copy")
        try:
            writer.write(copy, pyramid, sign)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    return Finished(copy, copy, pyramid.statistics, picture)


def _pictured(product: Path, pyramid: Pyramid, method: Method, wanted: Finishing) -> Path | None:
    """The thumbnail, if it is wanted: on the disk before the larger part of the work begins."""
    if not wanted.thumbnail:
        return None
    picture = thumbnail_path(product)
    write_file(picture, thumbnail(pyramid.top, method.scene.nodata, method.band_roles))
    return picture


def _finished_before(product: Path, wanted: Finishing) -> Finished:
    """What a run had made that was killed when there was only to clean up."""
    with rasterio.open(product) as raster:
        statistics = tuple(BandStatistics.from_tags(raster.tags(band)) for band in raster.indexes)
    picture = thumbnail_path(product)
    was_made = wanted.thumbnail and picture.exists()
    return Finished(product, None, statistics, picture if was_made else None)


def _forget(level: int, number: int, block: object) -> None:
    """What becomes of overviews that nobody wants."""


class _SignOfLife:
    """Samples memory once a second while blocks go by, so that a watchdog sees the run proceed."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry, self._sampled_at = telemetry, time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._sampled_at >= _SECONDS_BETWEEN_SIGNS:
            self._sampled_at = now
            self._telemetry.sample(resident_bytes=resident_bytes(), peak_bytes=peak_bytes())
