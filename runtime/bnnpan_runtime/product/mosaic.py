"""The product as it grows: tiles are written into a file that nobody takes for the product.

The file `.NAME.partial` lies beside the product and gets the product's name only when it is complete and on
the disk. Beside it, `.NAME.journal` says which blocks are finished; the next run for the same product goes on
from there. The journal is the first of the two to come and the last to go, and the lock on it keeps two runs
for one product apart. docs/recovery.md has the order of all steps, and why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from bnnpan_runtime.claim import Claim, claimed
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import DistrustError, OutputError
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
from bnnpan_runtime.product.recovery import Recovered
from bnnpan_runtime.units import Pixels

__all__ = ["BLOCK", "Mosaic", "Order", "check_output", "open_mosaic"]

CHECKPOINT_SECONDS = 5.0
"""Work that a crash may cost, at most, beside the blocks that are not complete."""


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
    if path.exists() and not overwrite and not hidden(path, "journal").exists():
        raise exists_already(path)


@contextmanager
def open_mosaic(path: Path, order: Order) -> Iterator[Mosaic]:
    """A product to be written, as far as an interrupted run has not written it.

    Leaving the `with` block without `commit` keeps the blocks that are finished, and a note on the exception
    says so; if there are none, every trace is removed.

    Raises OutputError if it cannot be created, does not fit on the disk, or is being written by another run.
    """
    with claimed(path, hidden(path, "journal")) as claim:
        journal = Journal(claim.file)
        mosaic = Mosaic(path, claim, journal, begin(path, claim, journal, order))
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
    """A product being written; made by `open_mosaic`."""

    def __init__(self, path: Path, claim: Claim, journal: Journal, begun: Recovered) -> None:
        self.path = path
        self._claim, self._journal, self._file = claim, journal, begun.file
        self._recovered = begun.blocks
        self._recorded = sum(begun.blocks)
        grid = begun.file.grid
        sizes = (0 if done else grid.pixels(block) for block, done in enumerate(begun.blocks))
        self._missing_pixels = np.fromiter(sizes, np.int32, grid.count)
        self._finished: list[int] = []
        self._may_record = True
        self._committed = False
        self._last_checkpoint = time.monotonic()

    @property
    def written(self) -> Path:
        """The file that holds the blocks; the product itself if only its journal was left to be removed."""
        return self._file.path

    def has(self, core: Window) -> bool:
        """Whether an interrupted run has finished every block that a tile's core touches."""
        return all(self._recovered[block] for block, _ in self._file.grid.parts(core))

    def write(self, core: Window, pixels: Pixels) -> None:
        """Write DN `(bands, height, width)` of a tile's core. Raises OutputError."""
        with failing_clearly(self.path):
            for block, part in self._file.grid.parts(core):
                if self._recovered[block]:
                    continue
                top, left = part.row - core.row, part.col - core.col
                self._file.write(block, part, pixels[:, top : top + part.height, left : left + part.width])
                self._missing_pixels[block] -= part.height * part.width
                if not self._missing_pixels[block]:
                    self._finished.append(block)
            if time.monotonic() - self._last_checkpoint >= CHECKPOINT_SECONDS:
                self._checkpoint()

    def close(self) -> None:
        """Return when the disk holds all blocks and the journal says so. Raises OutputError."""
        if self._missing_pixels.any():
            raise RuntimeError(f"{self.path}: closed before all its tiles were written")
        with failing_clearly(self.path):
            self._checkpoint()

    def commit(self) -> None:
        """Give the closed file the product's name, then remove the journal. Raises OutputError."""
        with failing_clearly(self.path):
            if self.written != self.path:
                os.replace(self.written, self.path)
            sync_folder(self.path)
            self._committed = True
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
            self._claim.release()

    def _checkpoint(self) -> None:
        """Record the blocks that were finished since the last time, once the disk holds them."""
        if self._finished and self._may_record:
            records = [Record(block, self._file.digest(block)) for block in self._finished]
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
