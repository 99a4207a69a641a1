"""A picture of the product small enough to be sent first: the coarsest overview in true colour, as JPEG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from bnnpan_runtime.errors import OutputError, one_line
from bnnpan_runtime.preview import black_and_white, shown_bands, stretched
from bnnpan_runtime.units import Pixels

__all__ = ["THUMBNAIL_BYTES", "thumbnail"]

THUMBNAIL_BYTES = 24 * 2**10
"""At most: some seconds of a link of 64 kbit/s."""

_QUALITIES = (85, 70, 50, 30)
"""Of JPEG, tried one after the other until the picture is small enough; then it gets half as large."""

UInt8 = NDArray[np.uint8]


def thumbnail(top: Pixels, nodata: float | None, roles: Sequence[str | None]) -> bytes:
    """JPEG of DN `(rows, columns, bands)`, `roles` naming the bands; what was not measured is black.

    Raises OutputError if GDAL was built without JPEG.
    """
    image = _coloured(top, nodata, roles)
    while True:
        for quality in _QUALITIES:
            picture = _jpeg(image, quality)
            if len(picture) <= THUMBNAIL_BYTES or max(image.shape[1:]) == 1:
                return picture
        image = image[:, ::2, ::2]


def _coloured(top: Pixels, nodata: float | None, roles: Sequence[str | None]) -> UInt8:
    image = np.zeros((3, *top.shape[:2]), np.uint8)
    for plane, band in zip(image, shown_bands(roles), strict=True):
        dn = top[:, :, band - 1].astype(np.float32)
        measured = np.isfinite(dn) & (dn != (np.nan if nodata is None else np.float32(nodata)))
        if measured.any():
            plane[measured] = stretched(dn[measured], black_and_white(dn[measured]))
    return image


def _jpeg(image: UInt8, quality: int) -> bytes:
    bands, height, width = image.shape
    profile = {"driver": "JPEG", "height": height, "width": width, "count": bands, "dtype": "uint8"}
    try:
        with warnings.catch_warnings(), MemoryFile() as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(**profile, QUALITY=quality) as picture:
                picture.write(image)
            return bytes(memory.read())
    except RasterioError as error:
        raise OutputError(f"cannot make the thumbnail ({one_line(error)}); leave out --thumbnail") from error
