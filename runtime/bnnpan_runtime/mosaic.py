"""The product as it grows: tiles are written block by block into a file that nobody takes for the product.

The file lies beside the product under a hidden name and gets the product's name only when it is complete and
on the disk. A killed run leaves at most that hidden file, which the next run for the same product replaces.

All blocks are laid out, in order, before the first tile is written: the space is claimed, a reader finds a
whole file at any time, and the product's bytes do not depend on the order or the size of the tiles.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rasterio import open as open_raster
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window as RasterioWindow

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import OutputError, one_line
from bnnpan_runtime.memory import MIB, format_size
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.units import Pixels

__all__ = ["BLOCK", "Mosaic", "check_output"]

BLOCK = 256
"""PAN pixels along a block of the product: the size every reader handles well."""

_HEADER_BYTES = MIB
"""Room for everything in the file that is not pixels."""


def check_output(path: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
    """Raise OutputError if a product cannot be put there; costs nothing, so it comes before all work."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; create it first")
    if any(path.exists() and source.exists() and path.samefile(source) for source in inputs):
        raise OutputError(f"{path} is an input of this run; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; choose another name or allow overwriting")


class Mosaic:
    """A product being written. Leaving the `with` block without `commit` removes every trace of it."""

    def __init__(self, path: Path, form: ProductFormat, tags: Mapping[str, str]) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        item_bytes = {"uint8": 1, "uint16": 2}[form.dtype]
        blocks = -(-form.height // BLOCK) * -(-form.width // BLOCK)
        self._pixel_bytes = blocks * BLOCK**2 * form.bands * item_bytes
        self._check_space()
        try:
            self.partial.unlink(missing_ok=True)
            self._lay_out(form, tags)
            self._raster: DatasetWriter = _open_quietly(self.partial, "r+")
        except (OSError, RasterioError) as error:
            raise OutputError(f"{path}: cannot be created ({one_line(error)}); check the folder") from error

    def __enter__(self) -> Mosaic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is not committed."""
        try:
            self._raster.close()
        except (OSError, RasterioError):
            pass  # the file goes away; what failed first is on its way up
        self.partial.unlink(missing_ok=True)

    def write(self, core: Window, pixels: Pixels) -> None:
        """Write DN `(bands, height, width)` of a tile's core. Raises OutputError."""
        try:
            self._raster.write(pixels, window=RasterioWindow(core.col, core.row, core.width, core.height))
        except (OSError, RasterioError) as error:
            raise self._write_error(one_line(error)) from error

    def close(self) -> None:
        """Write what is still buffered and check that all of it arrived. Raises OutputError.

        The raster library reports a full disk on some paths only, so the size of the file is checked too.
        """
        try:
            self._raster.close()
        except (OSError, RasterioError) as error:
            raise self._write_error(one_line(error)) from error
        size = self.partial.stat().st_size
        if size < self._pixel_bytes:
            raise self._write_error(f"{size} of at least {self._pixel_bytes} bytes arrived")

    def commit(self) -> None:
        """Give the closed file the product's name, after its content is on the disk. Raises OutputError."""
        try:
            _sync(self.partial)
            os.replace(self.partial, self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise self._write_error(one_line(error)) from error

    def _lay_out(self, form: ProductFormat, tags: Mapping[str, str]) -> None:
        """Create the file with every block in place; closing it fills them, with NoData or 0."""
        georeference = {} if form.transform is None else {"transform": form.transform}
        with _open_quietly(
            self.partial,
            "w",
            driver="GTiff",
            height=form.height,
            width=form.width,
            count=form.bands,
            dtype=form.dtype,
            nodata=form.nodata,
            crs=form.crs,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            interleave="pixel",
            BIGTIFF="IF_SAFER",
            # Bands are measurements, not a picture: a fourth 8-bit band would become transparency.
            photometric="MINISBLACK",
            ALPHA="NO",
            **georeference,
        ) as raster:
            raster.update_tags(**tags)
            for index, description in enumerate(form.descriptions, 1):
                if description:
                    raster.set_band_description(index, description)

    def _check_space(self) -> None:
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as error:
            raise OutputError(f"{self.path}: {one_line(error)}") from error
        free, needed = disk.f_bavail * disk.f_frsize, self._pixel_bytes + _HEADER_BYTES
        if free < needed:
            raise OutputError(
                f"{self.path}: the product takes {format_size(needed)}, {format_size(free)} are free;"
                " make room or choose another folder"
            )

    def _write_error(self, detail: str) -> OutputError:
        return OutputError(
            f"{self.path}: writing failed, the disk may be full ({detail}); make room and run again"
        )


def _open_quietly(path: Path, mode: str, **options: Any) -> DatasetWriter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return open_raster(path, mode, **options)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
