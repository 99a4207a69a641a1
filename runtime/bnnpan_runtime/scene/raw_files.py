"""Whether a file of plain pixels holds all of them: GDAL reads zeros where it has ended, and says nothing."""

from __future__ import annotations

import os

import numpy as np
from rasterio.io import DatasetReader

from bnnpan_runtime.errors import SceneError

__all__ = ["check_size"]

_RAW_DRIVERS = ("EHdr", "ENVI", "ERS", "ISIS3", "MFF", "PAux", "PCIDSK", "PDS4", "PNM", "RRASTER")
"""Formats of which GDAL reads zeros where the file has ended (3.10)."""

_HEADERS = (".aux", ".clr", ".ers", ".grd", ".hdr", ".prj", ".stx", ".xml")
"""Endings of files that lie beside those with the pixels."""

_PCIDSK_BLOCK_BYTES = 512
_PCIDSK_SIZE = slice(16, 32)
"""Where the header says how many blocks the file has (PCIDSK file format, chapter 2)."""


def check_size(raster: DatasetReader) -> None:
    """Raise SceneError if a raw file is too short for its pixels, which reading it would not tell."""
    if raster.driver not in _RAW_DRIVERS or raster.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION"):
        return
    paths = [path for path in raster.files if not path.lower().endswith(_HEADERS) and os.path.isfile(path)]
    found = sum(map(os.path.getsize, paths))
    needed = raster.height * raster.width * sum(np.dtype(dtype).itemsize for dtype in raster.dtypes)
    offset = raster.tags(ns="ENVI").get("header_offset", "").strip()
    needed += int(offset) if offset.isdecimal() else 0  # GDAL takes other text for 0
    if raster.driver == "PCIDSK" and paths:
        needed = max(needed, _size_of_pcidsk(paths[0]))
    if paths and found < needed:
        raise SceneError(
            f"{raster.name}: its pixels take {needed} bytes, {found} are there: damaged or truncated file"
        )


def _size_of_pcidsk(path: str) -> int:
    """Bytes that the file should have; 0 if it does not say."""
    with open(path, "rb") as file:
        blocks = file.read(_PCIDSK_SIZE.stop)[_PCIDSK_SIZE].strip()
    return int(blocks) * _PCIDSK_BLOCK_BYTES if blocks.isdigit() else 0
