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
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid, checksum
from bnnpan_runtime.product.journal import Header, Identity, Journal
from bnnpan_runtime.product.layout import framed, lay_out
from bnnpan_runtime.product.mask import MaskOrder, describe_classes, mask_form
from bnnpan_runtime.product.recovery import OfAnotherRun, Recovered, Unfit, recover, recover_copy
from bnnpan_runtime.product.sheets import Sheets
from bnnpan_runtime.scene import ProductFormat, intact_projections

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
    mask       also make a mask, and where
    note_bytes what the journal keeps of each block for the run that goes on
    late_bytes room for tags that are known only when all blocks are written
    copied     the product will not be the file of the blocks, but a copy made of it
    """

    form: ProductFormat
    tags: Mapping[str, str]
    identity: Identity
    overwrite: bool = False
    resume: bool | None = None
    mask: MaskOrder | None = None
    note_bytes: int = 0
    late_bytes: int = 0
    copied: bool = False

    @property
    def mask_form(self) -> ProductFormat:
        """That of the mask."""
        return mask_form(self.form)


def hidden(path: Path, kind: str) -> Path:
    """The file beside a product with its "partial" content, a "copy" of it, or the "journal" about it."""
    return path.with_name(f".{path.name}.{kind}")


def begin(path: Path, claim: Claim, journal: Journal, order: Order) -> Recovered:
    """What an interrupted run has left, or a file without any block finished. Raises OutputError."""
    partial = hidden(path, "partial")
    with failing_clearly(path):
        hidden(path, "copy").unlink(missing_ok=True)  # one that was not finished is made anew
    if path.exists() and (copy := _published_copy(path, journal, order)) is not None:
        return copy
    if path.exists() and not partial.exists():
        published = _published(path, claim, journal, order)
        if published is not None:
            return published
    if path.exists() and not order.overwrite:
        raise exists_already(path)
    if partial.exists() and order.resume is not False and not journal.is_empty:
        try:
            return _hidden_again(path, _recovered(partial, journal, order, is_published=False), order)
        except Unfit as error:
            if order.resume and isinstance(error, OfAnotherRun):
                raise _cannot_resume(path, error) from error
            _log.warning("%s: what an interrupted run has left is discarded: %s", path, error)
    if order.mask is not None and order.mask.path.exists() and not order.overwrite:
        raise exists_already(order.mask.path)
    return _fresh(path, claim, journal, order)


def exists_already(path: Path) -> OutputError:
    """The refusal to replace a product."""
    return OutputError(f"{path} exists; choose another name or allow overwriting")


def _cannot_resume(path: Path, error: OfAnotherRun) -> OutputError:
    return OutputError(f"{path}: cannot be resumed: {error}; --restart discards what is kept")


@contextmanager
def failing_clearly(path: Path) -> Iterator[None]:
    """Turn what the system and GDAL say about writing into an OutputError that names the product."""
    try:
        yield
    except (OSError, RasterioError) as error:
        raise OutputError(
            f"{path}: writing failed, the disk may be full ({one_line(error)}); make room and run again"
        ) from error


def _published(path: Path, claim: Claim, journal: Journal, order: Order) -> Recovered | None:
    """The product itself, if this very run has given it its name and then was interrupted or out of time.

    One that is not complete gets its hidden name again.
    """
    if order.resume is False or journal.is_empty:
        return None
    try:
        product = _recovered(path, journal, order, is_published=True)
    except OfAnotherRun as error:  # which may yet go on with what it has published
        if order.resume:
            raise _cannot_resume(path, error) from error
        return None
    except Unfit:
        if not order.overwrite:
            claim.release()
        return None
    return product if all(product.blocks) else _hidden_again(path, product, order)


def _published_copy(path: Path, journal: Journal, order: Order) -> Recovered | None:
    """The product itself, if it is a copy that this very run has given its name."""
    if not order.copied or order.resume is False or journal.is_empty:
        return None
    mask = order.mask
    opener = None if mask is None else lambda: _open_mask(mask.path, order, is_published=True)
    try:
        return recover_copy(path, journal, order.identity, BlockGrid.of(order.form), opener)
    except Unfit:
        return None


def _recovered(pixels: Path, journal: Journal, order: Order, *, is_published: bool) -> Recovered:
    """What lies at `pixels`, and the mask that belongs to it. Raises Unfit."""
    form, mask = order.form, order.mask
    late = None
    if order.late_bytes:
        with intact_projections(str(pixels), OutputError):
            _, late = framed(form, order.tags, order.late_bytes)
    opener = None if mask is None else lambda: _open_mask(mask.path, order, is_published)
    return recover(pixels, journal, order.identity, BlockGrid.of(form), late, opener)


def _open_mask(path: Path, order: Order, is_published: bool) -> BlockFile:
    """The mask that an interrupted run has left. Raises OSError, too if it is none of this run.

    It gets its name after the product: beside one that is still hidden, a mask of that name is another's.
    """
    form, partial = order.mask_form, hidden(path, "partial")
    with intact_projections(str(path), OutputError):
        frame, _ = framed(form, order.tags, dress=describe_classes)
    grid = BlockGrid.of(form)
    file = BlockFile(path if is_published and not partial.exists() else partial, grid, len(frame))
    expected = checksum(bytes(frame)) + checksum(b"")
    if file.size != len(frame) + grid.all_bytes or file.frame_digest() != expected:
        file.close()
        raise OSError("it is damaged")
    return file


def _hidden_again(path: Path, begun: Recovered, order: Order) -> Recovered:
    """Files that are gone on with, under their hidden names; the mask's first, so that it is never alone."""
    places = [(path, begun.file.pixels)]
    if order.mask is not None and begun.file.mask is not None:
        places.insert(0, (order.mask.path, begun.file.mask))
        if begun.file.mask.path != order.mask.path and order.mask.path.exists() and not order.overwrite:
            begun.file.close()
            raise exists_already(order.mask.path)
    with failing_clearly(path):
        for place, file in places:
            if file.path == place:
                os.replace(place, hidden(place, "partial"))
                sync_folder(place)
                file.path = hidden(place, "partial")
    return begun


def _fresh(path: Path, claim: Claim, journal: Journal, order: Order) -> Recovered:
    """A file laid out anew, and a journal that has only its header."""
    partials = [hidden(place, "partial") for place in (path, *([order.mask.path] if order.mask else []))]
    try:
        with failing_clearly(path):
            journal.clear()
            for partial in partials:
                partial.unlink(missing_ok=True)
            _check_space(path, BlockGrid.of(order.form).all_bytes + _HEADER_BYTES)
            file = _laid_out(path, order)
            try:
                for partial in partials:
                    sync_folder(partial)
                journal.start(Header.of(order.identity, file.pixels))
            except BaseException:
                file.close()
                raise
    except BaseException:
        for partial in partials:
            partial.unlink(missing_ok=True)
        claim.release()
        raise
    return Recovered(file, bytearray(file.grid.count), is_blank=True)


def _laid_out(path: Path, order: Order) -> Sheets:
    """All files without any pixels, the mask's first: it is the smaller one to be refused."""
    if order.mask is None:
        return Sheets(lay_out(hidden(path, "partial"), order.form, order.tags, order.late_bytes))
    place, form = order.mask.path, order.mask_form
    _check_space(place, BlockGrid.of(form).all_bytes + _HEADER_BYTES)
    mask = lay_out(hidden(place, "partial"), form, order.tags, dress=describe_classes)
    try:
        return Sheets(lay_out(hidden(path, "partial"), order.form, order.tags, order.late_bytes), mask)
    except BaseException:
        mask.close()
        raise


def _check_space(path: Path, needed_bytes: int) -> None:
    disk = os.statvfs(path.parent)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{path}: the product takes {format_size(needed_bytes)}, {format_size(free_bytes)} are free;"
            " make room or choose another folder"
        )
