"""The product as it grows: tiles are written into a file that nobody takes for the product.

The file `.NAME.partial` lies beside the product and gets the product's name only when it is complete and on
the disk. Beside it, `.NAME.journal` says which blocks are finished; the next run for the same product goes on
from there. The journal is the first of the two to come and the last to go, and the lock on it keeps two runs
for one product apart. docs/recovery.md has the order of all steps, and why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from bnnpan_runtime.claim import Claim, claimed
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import DistrustError, OutputError
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.product.beginning import (
    Order,
    begin,
    exists_already,
    failing_clearly,
    hidden,
    sync_folder,
)
from bnnpan_runtime.product.block_file import BLOCK
from bnnpan_runtime.product.journal import Journal, Record
from bnnpan_runtime.product.layout import late_text
from bnnpan_runtime.product.mask import by_classical_method
from bnnpan_runtime.product.recovery import Recovered, copy_record
from bnnpan_runtime.product.sheets import Sheets
from bnnpan_runtime.units import Pixels

__all__ = [
    "BLOCK",
    "Inspection",
    "Inspector",
    "Mosaic",
    "Order",
    "check_output",
    "is_under_way",
    "open_mosaic",
]

CHECKPOINT_SECONDS = 5.0
"""Work that a crash may cost, at most, beside the blocks that are not complete."""


@dataclass(frozen=True)
class Inspection:
    """What an inspector found: whether it has made the block again, and what the journal is to keep of it."""

    is_replaced: bool
    note: bytes


class Inspector(Protocol):
    """Looks at every block when all its pixels are there, before it counts as finished."""

    def inspect(self, area: Window, pixels: Pixels) -> Inspection:
        """Judge DN `(bands, height, width)` of an area, and change them in place if they are to be others."""
        ...


def check_output(path: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
    """Raise OutputError if a product cannot be put there; costs nothing, so it comes before all work.

    A product with a journal beside it may be that of this very run, killed between its last two steps.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is a device or a pipe; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; create it first")
    if any(path.exists() and source.exists() and path.samefile(source) for source in inputs):
        raise OutputError(f"{path} is an input of this run; choose another name")
    if path.exists() and not overwrite and not is_under_way(path):
        raise exists_already(path)


def is_under_way(path: Path) -> bool:
    """Whether a run works on this product, or has left it to be gone on with."""
    return hidden(path, "journal").exists()


@contextmanager
def open_mosaic(path: Path, order: Order) -> Iterator[Mosaic]:
    """A product to be written, as far as an interrupted run has not written it.

    Leaving the `with` block without `commit` keeps the blocks that are finished, and a note on the exception
    says so; if there are none, every trace is removed.

    Raises OutputError if it cannot be created, does not fit on the disk, or is being written by another run.
    """
    with ExitStack() as stack:
        claim = stack.enter_context(claimed(path, hidden(path, "journal")))
        journal = Journal(claim.file, order.note_bytes)
        try:
            mask = None if order.mask is None else _claimed_mask(stack, order.mask.path)
            begun = begin(path, claim, journal, order)
        except BaseException:
            if journal.is_empty:
                claim.release()
            raise
        mosaic = Mosaic(path, claim, journal, begun, mask)
        try:
            yield mosaic
        except DistrustError:
            mosaic.discard()
            raise
        except BaseException as error:
            if kept := mosaic.keep():
                error.add_note(f"{kept}; run the same command again to go on from there")
            raise
        finally:
            mosaic.leave()


class Mosaic:
    """A product being written; made by `open_mosaic`.

    notes                       what an interrupted run has kept of the blocks it finished
    slowest_checkpoint_seconds  that a checkpoint of this run has taken
    is_copy                     whether all is done but to remove what the product was copied from
    """

    def __init__(
        self, path: Path, claim: Claim, journal: Journal, begun: Recovered, mask: _ClaimedMask | None = None
    ) -> None:
        self.path, self.notes = path, begun.notes
        self.slowest_checkpoint_seconds = 0.0
        self._mask = mask
        self._inspector: Inspector | None = None
        self._block: Pixels | None = None
        self._claim, self._journal, self._file = claim, journal, begun.file
        self._recovered, self.is_copy = begun.blocks, begun.is_copy
        self._began_blank = begun.is_blank
        self._recorded = sum(begun.blocks)
        grid = begun.file.grid
        sizes = (0 if done else grid.pixels(block) for block, done in enumerate(begun.blocks))
        self._missing_pixels = np.fromiter(sizes, np.int32, grid.count)
        self._finished: list[tuple[int, bytes]] = []
        self._may_record = True
        self._committed = False
        self._last_checkpoint = time.monotonic()

    @property
    def written(self) -> Path:
        """The file that holds the blocks; the product itself if only its journal was left to be removed."""
        return self._file.pixels.path

    @property
    def sheets(self) -> Sheets:
        """The files that grow."""
        return self._file

    @property
    def missing_pixels(self) -> int:
        """Pixels of blocks that are not complete."""
        return int(self._missing_pixels.sum())

    @property
    def unrecorded_bytes(self) -> int:
        """What the next checkpoint has to read back."""
        return len(self._finished) * self._file.grid.block_bytes

    def inspect_with(self, inspector: Inspector) -> None:
        """Have all blocks looked at that are completed from now on."""
        self._inspector = inspector
        grid = self._file.grid
        self._block = allocate((grid.block_bytes // np.dtype(grid.dtype).itemsize,), grid.dtype)

    def has(self, core: Window) -> bool:
        """Whether an interrupted run has finished every block that a tile's core touches."""
        return all(self._recovered[block] for block, _ in self._file.grid.parts(core))

    def is_complete(self, core: Window) -> bool:
        """Whether every block that a tile's core touches is complete by now."""
        return not any(self._missing_pixels[block] for block, _ in self._file.grid.parts(core))

    def write(self, core: Window, pixels: Pixels, classes: Pixels | None = None) -> None:
        """Write DN `(bands, height, width)` of a tile's core, and its classes `(1, height, width)`.

        Raises OutputError.
        """
        with failing_clearly(self.path):
            for block, part in self._file.grid.parts(core):
                if self._recovered[block]:
                    continue
                top, left = part.row - core.row, part.col - core.col
                cut = np.s_[:, top : top + part.height, left : left + part.width]
                self._file.write(block, part, pixels[cut], None if classes is None else classes[cut])
                self._missing_pixels[block] -= part.height * part.width
                if not self._missing_pixels[block]:
                    self._finished.append((block, self._inspected(block)))
            if time.monotonic() - self._last_checkpoint >= CHECKPOINT_SECONDS:
                self._checkpoint()

    def close(self, late_tags: Mapping[str, str] = MappingProxyType({}), *, is_partial: bool = False) -> None:
        """Return when the disk holds all blocks and the journal says so. Raises OutputError.

        A partial product has had those blocks taken back that are not complete.
        """
        if self._missing_pixels.any() and not is_partial:
            raise RuntimeError(f"{self.path}: closed before all its tiles were written")
        with failing_clearly(self.path):
            self._checkpoint()
            if is_partial:  # blocks that were taken back are in no checkpoint
                self._file.sync()
            self._tag(late_tags)

    def drop_incomplete(self) -> None:
        """Take back the pixels of blocks that are not complete. Raises OutputError.

        An interrupted run may have written into blocks that it has not recorded, too.
        """
        grid = self._file.grid
        with failing_clearly(self.path):
            for block in map(int, np.flatnonzero(self._missing_pixels)):
                if not self._began_blank or self._missing_pixels[block] < grid.pixels(block):
                    self._file.blank(block)
                    self._missing_pixels[block] = grid.pixels(block)

    def commit(self, copy: Path | None = None, sha256: str = "") -> None:
        """Give the closed files their names, then remove the journal. Raises OutputError.

        A product that is not complete keeps its journal, so that a later run can go on with it. `copy` is a
        file made of all blocks, on the disk and of this digest, that becomes the product in their place.
        """
        made = self.written if copy is None else copy
        with failing_clearly(self.path):
            if made != self.path:
                # An older mask is of another product.
                if self._mask is not None and not self._mask_has_its_name:
                    self._mask.path.unlink(missing_ok=True)
                    sync_folder(self._mask.path)
                if copy is not None:
                    self._journal.append([copy_record(self._file.grid, sha256, self._journal.note_bytes)])
                os.replace(made, self.path)
            sync_folder(self.path)
            mask = self._file.mask
            if mask is not None and self._mask is not None:
                if not self._mask_has_its_name:
                    os.replace(mask.path, self._mask.path)
                    sync_folder(self._mask.path)
                self._mask.release()
            self._committed = True
            if copy is not None or self.is_copy:
                self._remove_rest()
            if not self._missing_pixels.any():
                self._claim.release()

    def keep(self) -> str:
        """Record what can still be recorded, and tell how much there is to go on from; "" if nothing."""
        with suppress(OSError):
            self._checkpoint()
        if not self._recorded:
            return ""
        return f"{self._recorded} of {self._file.grid.count} blocks of {self.path.name} are kept"

    def discard(self) -> None:
        """Forget all that is recorded."""
        self._recorded, self._may_record = 0, False
        with suppress(OSError):  # what it is about is removed in any case
            self._journal.clear()

    def leave(self) -> None:
        """Close the file; remove it unless there is something in it to go on from."""
        self._file.close()
        if not self._committed and not self._recorded:
            self.written.unlink(missing_ok=True)
            if self._file.mask is not None:
                self._file.mask.path.unlink(missing_ok=True)
            self._claim.release()

    @property
    def _mask_has_its_name(self) -> bool:
        mask = self._file.mask
        return mask is not None and self._mask is not None and mask.path == self._mask.path

    def _remove_rest(self) -> None:
        """What a copy was made of, and what of copies killed runs have left."""
        for kind in ("partial", "copy"):
            if (rest := hidden(self.path, kind)).exists():
                rest.unlink()
        sync_folder(self.path)

    def _tag(self, tags: Mapping[str, str]) -> None:
        """Write what is known only now, and wait until the disk holds it."""
        pixels = self._file.pixels
        if len(pixels.late):
            pixels.write_late(late_text(tags, pixels.late))
            pixels.sync()

    def _inspected(self, block: int) -> bytes:
        """What the inspector notes of a complete block, after it has made it again if it must."""
        if self._inspector is None or self._block is None:
            return b""
        file = self._file.pixels
        area = file.grid.area(block)
        count = file.grid.pixels(block)
        bands = len(self._block) // file.grid.side**2
        pixels = self._block[: bands * count].reshape(bands, area.height, area.width)
        file.read(block, pixels)
        inspection = self._inspector.inspect(area, pixels)
        if inspection.is_replaced:
            file.write(block, area, pixels)
            if self._file.mask is not None:
                classes = np.empty((1, area.height, area.width), np.uint8)
                self._file.mask.read(block, classes)
                by_classical_method(classes)
                self._file.mask.write(block, area, classes)
        return inspection.note

    def _checkpoint(self) -> None:
        """Record the blocks that were finished since the last time, once the disk holds them."""
        started = time.monotonic()
        if self._finished and self._may_record:
            records = [Record(block, self._file.digest(block), note) for block, note in self._finished]
            try:
                self._file.sync()
                self._journal.append(records)
            except OSError:
                # What a disk has refused once, the kernel takes for written the next time.
                self._may_record = False
                raise
            self._recorded += len(records)
            self._finished.clear()
        self._last_checkpoint = time.monotonic()
        took = self._last_checkpoint - started
        self.slowest_checkpoint_seconds = max(self.slowest_checkpoint_seconds, took)


class _ClaimedMask:
    """Where a mask goes, and the lock that keeps other runs from it until the mask has its name."""

    def __init__(self, path: Path, lock: Claim) -> None:
        self.path, self._lock = path, lock
        self._is_mine = True

    def release(self) -> None:
        """Give the lock up, once: its name may be another run's afterwards."""
        if self._is_mine:
            self._is_mine = False
            self._lock.release()


def _claimed_mask(stack: ExitStack, path: Path) -> _ClaimedMask:
    """A mask that is this run's alone, for as long as the stack is open. Raises OutputError."""
    mask = _ClaimedMask(path, stack.enter_context(claimed(path, hidden(path, "lock"))))
    stack.callback(mask.release)
    return mask
