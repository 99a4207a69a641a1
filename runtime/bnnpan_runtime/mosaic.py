"""The product as it grows: tiles are written block by block into a file that nobody takes for the product.

The file lies beside the product under a hidden name and gets the product's name only when it is complete and
on the disk. A killed run leaves at most that hidden file, which the next run for the same product replaces; a
lock on it, which ends with its process, keeps two runs for one product apart.

All blocks are laid out, in order, before the first tile is written: the space is claimed, a reader finds a
whole file at any time, and the product's bytes do not depend on the order or the size of the tiles.
"""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
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

__all__ = ["BLOCK", "Mosaic", "check_output", "open_mosaic"]

BLOCK = 256
"""PAN pixels along a block of the product: the size every reader handles well."""

_HEADER_BYTES = MIB
"""Room for everything in the file that is not pixels."""


def check_output(path: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
    """Raise OutputError if a product cannot be put there; costs nothing, so it comes before all work."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is a device or a pipe; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; create it first")
    if any(path.exists() and source.exists() and path.samefile(source) for source in inputs):
        raise OutputError(f"{path} is an input of this run; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; choose another name or allow overwriting")


@contextmanager
def open_mosaic(path: Path, form: ProductFormat, tags: Mapping[str, str]) -> Iterator[Mosaic]:
    """A product to be written. Leaving the `with` block without `commit` removes every trace of it.

    Raises OutputError if it cannot be created, does not fit on the disk, or is being written by another run.
    """
    partial = path.with_name(f".{path.name}.partial")
    item_bytes = {"uint8": 1, "uint16": 2}[form.dtype]
    blocks = -(-form.height // BLOCK) * -(-form.width // BLOCK)
    pixel_bytes = blocks * BLOCK**2 * form.bands * item_bytes
    with _claimed(path, partial):
        _check_space(path, pixel_bytes + _HEADER_BYTES)
        try:
            _lay_out(partial, form, tags)
            raster = _open_quietly(partial, "r+")
        except (OSError, RasterioError) as error:
            raise _write_error(path, one_line(error)) from error
        try:
            mosaic = Mosaic(path, partial, raster, pixel_bytes)
            mosaic.check_size()
            yield mosaic
        finally:
            with suppress(OSError, RasterioError):  # the file goes away; what failed first is on its way up
                raster.close()


class Mosaic:
    """A product being written; made by `open_mosaic`."""

    def __init__(self, path: Path, partial: Path, raster: DatasetWriter, pixel_bytes: int) -> None:
        self.path = path
        self.partial = partial
        self._raster = raster
        self._pixel_bytes = pixel_bytes

    def write(self, core: Window, pixels: Pixels) -> None:
        """Write DN `(bands, height, width)` of a tile's core. Raises OutputError."""
        try:
            self._raster.write(pixels, window=RasterioWindow(core.col, core.row, core.width, core.height))
        except (OSError, RasterioError) as error:
            raise _write_error(self.path, one_line(error)) from error

    def close(self) -> None:
        """Write what is still buffered and check that all of it arrived. Raises OutputError."""
        try:
            self._raster.close()
        except (OSError, RasterioError) as error:
            raise _write_error(self.path, one_line(error)) from error
        self.check_size()

    def check_size(self) -> None:
        """Raise OutputError unless all blocks are there: GDAL reports a full disk on some paths only."""
        size = self.partial.stat().st_size
        if size < self._pixel_bytes:
            raise _write_error(self.path, f"{size} of at least {self._pixel_bytes} bytes arrived")

    def commit(self) -> None:
        """Give the closed file the product's name, after its content is on the disk. Raises OutputError."""
        try:
            _sync(self.partial)
            os.replace(self.partial, self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise _write_error(self.path, one_line(error)) from error


@contextmanager
def _claimed(path: Path, partial: Path) -> Iterator[None]:
    """Hold the empty hidden file, locked; remove it afterwards unless it has got another name."""
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created ({one_line(error)}); check the folder") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{path} is being written by another run; wait for it to end") from error
        # Between opening and locking, another run may have finished and given the file its product's name.
        if not _is_open_as(partial, descriptor):
            raise OutputError(f"{path} has just been written by another run; run again to replace it")
        try:
            os.ftruncate(descriptor, 0)
            yield
        finally:
            if _is_open_as(partial, descriptor):
                partial.unlink()
    finally:
        os.close(descriptor)


def _is_open_as(path: Path, descriptor: int) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))


def _lay_out(partial: Path, form: ProductFormat, tags: Mapping[str, str]) -> None:
    """Fill the file with every block in place; closing it writes them, with NoData or 0."""
    georeference = {} if form.transform is None else {"transform": form.transform}
    with _open_quietly(
        partial,
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


def _check_space(path: Path, needed_bytes: int) -> None:
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {one_line(error)}") from error
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{path}: the product takes {format_size(needed_bytes)}, {format_size(free_bytes)} are free;"
            " make room or choose another folder"
        )


def _write_error(path: Path, detail: str) -> OutputError:
    return OutputError(f"{path}: writing failed, the disk may be full ({detail}); make room and run again")


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
