"""The product's file laid out: a frame, which is all that is not pixels, and behind it every block in order.

GDAL makes the frame in memory and never meets the disk. Where a write fails, it may carry on with a file that
is not what it believes, follow what it finds there without an end, or lay out something else.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter, MemoryFile

from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid
from bnnpan_runtime.scene import ProductFormat, describe, intact_projections

__all__ = ["framed", "late_text", "lay_out"]

_OFFSETS, _BYTE_COUNTS = 324, 325
"""Tags of the tables of blocks (TIFF 6.0, section 15)."""

_BIG = 43
"""Version of a TIFF whose offsets have 64 bits."""

_ENTRY_TYPES = {3: "u2", 4: "u4", 16: "u8"}
"""Numbers in those tables, by the codes of TIFF and BigTIFF."""


_LATE = "BNNPAN_LATE"
"""Stands in the metadata where later tags will, until it is blanked."""

Dress = Callable[[DatasetWriter], None]
"""What else is to be said in a file, open for writing."""


def lay_out(
    path: Path,
    form: ProductFormat,
    tags: Mapping[str, str],
    late_bytes: int = 0,
    dress: Dress | None = None,
) -> BlockFile:
    """A new file with every block in place, filled with NoData or 0, and on the disk.

    It has room for so many bytes of tags that are known only when all blocks are written; see `late_text`.

    Raises OSError or RasterioError, for example where the disk is full; OutputError if PROJ is not whole.
    """
    grid = BlockGrid.of(form)
    with intact_projections(str(path), OutputError):
        frame, late = framed(form, tags, late_bytes, dress)
    file = BlockFile(path, grid, len(frame), is_new=True)
    file.late = late
    try:
        file.fill(frame)
        file.sync()
    except BaseException:
        file.close()
        raise
    return file


def framed(
    form: ProductFormat, tags: Mapping[str, str], late_bytes: int = 0, dress: Dress | None = None
) -> tuple[bytearray, range]:
    """What `lay_out` writes before the blocks, and which bytes of it are blank for later tags."""
    grid = BlockGrid.of(form)
    if not late_bytes:
        frame = _frame(form, tags, grid, dress)
        return frame, range(len(frame), len(frame))
    opening, closing = f'<Item name="{_LATE}">', "</Item>"
    filler = "~" * (late_bytes - len(opening) - len(closing))
    frame = _frame(form, {**tags, _LATE: filler}, grid, dress)
    start = frame.index(f"{opening}{filler}{closing}".encode())
    frame[start : start + late_bytes] = b" " * late_bytes
    return frame, range(start, start + late_bytes)


def late_text(tags: Mapping[str, str], late: range) -> bytes:
    """Tags as they are written into their room; blanks between elements mean nothing in XML."""
    items = "".join(
        f'<Item name="{name}">{escape(value, quote=False)}</Item>' for name, value in tags.items()
    )
    text = items.encode().ljust(len(late))
    if len(text) > len(late):
        raise ValueError(f"tags of {len(text)} bytes have room for {len(late)}")
    return text


def _frame(
    form: ProductFormat, tags: Mapping[str, str], grid: BlockGrid, dress: Dress | None = None
) -> bytearray:
    """Header, directory, tags and tables of a TIFF whose blocks follow in order, without a gap."""
    options = _options(form, grid)
    if dress is not None:
        options["photometric"] = "PALETTE"
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**options) as raster:
            describe(raster, form, tags)
            if dress is not None:
                dress(raster)
        frame = bytearray(memory.read())
    _table(frame, _OFFSETS)[:] = len(frame) + np.arange(grid.count) * grid.block_bytes
    _table(frame, _BYTE_COUNTS)[:] = grid.block_bytes
    _check(frame, grid)
    return frame


def _options(form: ProductFormat, grid: BlockGrid) -> dict[str, Any]:
    """Arguments that create a TIFF with room for its tables of blocks, but without blocks."""
    return {
        "driver": "GTiff",
        "height": form.height,
        "width": form.width,
        "count": form.bands,
        "dtype": form.dtype,
        "nodata": form.nodata,
        "tiled": True,
        "blockxsize": grid.side,
        "blockysize": grid.side,
        "interleave": "pixel",
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": True,
        # Bands are measurements, not a picture: a fourth 8-bit band would become transparency.
        "photometric": "MINISBLACK",
        "ALPHA": "NO",
        **form.georeference,
    }


def _table(frame: bytearray, wanted: int) -> np.ndarray[Any, np.dtype[Any]]:
    """The table of a tag in the first directory of a TIFF, writable. Raises OSError if it has none."""
    order = "<" if frame[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", frame, 2)[0] == _BIG
    word, count_type, start = ("Q", "Q", 8) if big else ("I", "H", 4)
    (directory,) = struct.unpack_from(f"{order}{word}", frame, start)
    (entries,) = struct.unpack_from(f"{order}{count_type}", frame, directory)
    entry = struct.Struct(f"{order}HH{word}{word}")
    place = directory + struct.calcsize(count_type)
    for tag, code, count, offset in entry.iter_unpack(frame[place : place + entries * entry.size]):
        if tag == wanted and code in _ENTRY_TYPES:
            dtype = np.dtype(order + _ENTRY_TYPES[code])
            # A table that fits lies in the directory itself, where the offset would be.
            fits = count * dtype.itemsize <= struct.calcsize(word)
            at = place + entry.size - struct.calcsize(word) if fits else offset
            return np.frombuffer(frame, dtype, count, at)
        place += entry.size
    raise OSError(f"the layout has no table {wanted}")


def _check(frame: bytearray, grid: BlockGrid) -> None:
    """Raise OSError unless GDAL finds every block where it will be."""
    with warnings.catch_warnings(), MemoryFile(bytes(frame)) as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open() as raster:
            for block in range(grid.count):
                row, col = divmod(block, grid.across)
                place = raster.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
                size = raster.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)
                if (place, size) != (str(len(frame) + block * grid.block_bytes), str(grid.block_bytes)):
                    raise OSError("the blocks were not laid out in order")
