"""How a product begins: with what an interrupted run has left of it, or with a file laid out anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rasterio.errors import RasterioError

from bnnpan_runtime.claim import Claim
from bnnpan_runtime.durable_file import sync_folder
from bnnpan_runtime.errors import OutputError, one_line
from bnnpan_runtime.memory import MIB, format_size
from bnnpan_runtime.product.block_file import BlockGrid
from bnnpan_runtime.product.journal import Header, Identity, Journal
from bnnpan_runtime.product.layout import lay_out
from bnnpan_runtime.product.recovery import OfAnotherRun, Recovered, Unfit, recover
from bnnpan_runtime.scene import ProductFormat

__all__ = ["Order", "begin", "exists_already", "failing_clearly", "hidden", "sync_folder"]

_HEADER_BYTES = MIB
"""Room for everything in the file that is not pixels."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What to make: a product of this form, with these tags, as the run of this identity makes it.

    overwrite  replace an existing product
    resume     go on from what an interrupted run has left: None if it fits, True to refuse what is of another
               run instead of replacing it, False to begin anew
    """

    form: ProductFormat
    tags: Mapping[str, str]
    identity: Identity
    overwrite: bool = False
    resume: bool | None = None


def hidden(path: Path, kind: str) -> Path:
    """The file beside a product that holds its "partial" content, or the "journal" about it."""
    return path.with_name(f".{path.name}.{kind}")


def begin(path: Path, claim: Claim, journal: Journal, order: Order) -> Recovered:
    """What an interrupted run has left, or a file without any block finished. Raises OutputError."""
    partial = hidden(path, "partial")
    if path.exists() and not partial.exists():
        finished = _finished(path, journal, order)
        if finished is not None:
            return finished
        if not order.overwrite:
            claim.release()
    if path.exists() and not order.overwrite:
        raise exists_already(path)
    if partial.exists() and order.resume is not False and not journal.is_empty:
        try:
            return recover(partial, journal, order.identity, BlockGrid.of(order.form))
        except Unfit as error:
            if order.resume and isinstance(error, OfAnotherRun):
                raise OutputError(
                    f"{path}: cannot be resumed: {error}; --restart discards what is kept"
                ) from error
            _log.warning("%s: what an interrupted run has left is discarded: %s", path, error)
    return _fresh(path, claim, journal, order)


def exists_already(path: Path) -> OutputError:
    """The refusal to replace a product."""
    return OutputError(f"{path} exists; choose another name or allow overwriting")


@contextmanager
def failing_clearly(path: Path) -> Iterator[None]:
    """Turn what the system and GDAL say about writing into an OutputError that names the product."""
    try:
        yield
    except (OSError, RasterioError) as error:
        raise OutputError(
            f"{path}: writing failed, the disk may be full ({one_line(error)}); make room and run again"
        ) from error


def _finished(path: Path, journal: Journal, order: Order) -> Recovered | None:
    """The product itself, if this very run was interrupted after giving it its name."""
    if order.resume is False or journal.is_empty:
        return None
    try:
        product = recover(path, journal, order.identity, BlockGrid.of(order.form))
    except Unfit:
        return None
    if not all(product.blocks):
        product.file.close()
        return None
    return product


def _fresh(path: Path, claim: Claim, journal: Journal, order: Order) -> Recovered:
    """A file laid out anew, and a journal that has only its header."""
    partial = hidden(path, "partial")
    try:
        with failing_clearly(path):
            journal.clear()
            partial.unlink(missing_ok=True)
            _check_space(path, BlockGrid.of(order.form).all_bytes + _HEADER_BYTES)
            file = lay_out(partial, order.form, order.tags)
            try:
                sync_folder(path)
                journal.start(Header.of(order.identity, file))
            except BaseException:
                file.close()
                raise
    except BaseException:
        partial.unlink(missing_ok=True)
        claim.release()
        raise
    return Recovered(file, bytearray(file.grid.count))


def _check_space(path: Path, needed_bytes: int) -> None:
    disk = os.statvfs(path.parent)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{path}: the product takes {format_size(needed_bytes)}, {format_size(free_bytes)} are free;"
            " make room or choose another folder"
        )
