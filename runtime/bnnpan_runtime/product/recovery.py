"""What an interrupted run has left behind, and how much of it may be kept: only what is proven.

The journal is a hint. A run continues if the journal is of the very same run, if everything in the file that
is not pixels is as it was laid out, and then with those blocks whose bytes still match their checksums.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bnnpan_runtime.errors import one_line
from bnnpan_runtime.product.block_file import DIGEST_BYTES, BlockFile, BlockGrid
from bnnpan_runtime.product.journal import DamagedJournal, Header, Identity, Journal, Record
from bnnpan_runtime.product.sheets import Sheets
from bnnpan_runtime.product.tags import sha256_of

__all__ = ["OfAnotherRun", "Recovered", "Unfit", "copy_record", "recover", "recover_copy"]

_log = logging.getLogger(__name__)


class Unfit(Exception):
    """Nothing of what was left can be kept; the message tells why."""


class OfAnotherRun(Unfit):
    """What was left is sound as far as one can tell, but not what this run would have made."""


@dataclass(frozen=True)
class Recovered:
    """Files to go on with; `blocks` holds 1 for each of their blocks that is finished, else 0.

    `notes` are those of the finished blocks, in no order. With `is_copy`, `file` was made of all blocks, and
    is the product already. Unless it `is_blank`, blocks that are not finished may hold anything.
    """

    file: Sheets
    blocks: bytearray
    notes: list[bytes] = field(default_factory=list)
    is_copy: bool = False
    is_blank: bool = False


def recover(
    path: Path,
    journal: Journal,
    identity: Identity,
    grid: BlockGrid,
    late: range | None = None,
    open_mask: Callable[[], BlockFile] | None = None,
) -> Recovered:
    """Open what an interrupted run has left at `path`, and check every block of it. Raises Unfit.

    `late` are the bytes of the file that nothing depends on, `open_mask` opens a mask that belongs to it and
    may raise OSError.
    """
    try:
        header = journal.header()
        _check_identity(header, identity, grid)
        pixels = BlockFile(path, grid, header.first_byte)
    except (DamagedJournal, OSError) as error:
        raise Unfit(f"its journal or its file cannot be used ({one_line(error)})") from error
    file = Sheets(pixels)
    try:
        pixels.late = late if late is not None else pixels.late
        _check_frame(pixels, header)
        if open_mask is not None:
            file = Sheets(pixels, _opened(open_mask))
        return Recovered(file, *_proven(file, journal))
    except BaseException:
        file.close()
        raise


def copy_record(grid: BlockGrid, sha256: str, note_bytes: int) -> Record:
    """What the journal says of a copy before it becomes the product: its digest, behind the last block."""
    return Record(grid.count, bytes.fromhex(sha256)[:DIGEST_BYTES], bytes(note_bytes))


def recover_copy(
    path: Path,
    journal: Journal,
    identity: Identity,
    grid: BlockGrid,
    open_mask: Callable[[], BlockFile] | None = None,
) -> Recovered:
    """The copy at `path`, if a run was killed after giving it the product's name. Raises Unfit."""
    try:
        header = journal.header()
        _check_identity(header, identity, grid)
        notes: dict[int, bytes] = {}
        digest = b""
        for record in journal.records(grid.count + 1):
            if record.block == grid.count:
                digest = record.digest
            else:
                notes.setdefault(record.block, record.note)
        if not digest or bytes.fromhex(sha256_of(path))[:DIGEST_BYTES] != digest:
            raise Unfit("it is no copy that this run has made")
        pixels = BlockFile(path, grid, header.first_byte)
    except (DamagedJournal, OSError) as error:
        raise Unfit(f"its journal or its file cannot be used ({one_line(error)})") from error
    try:
        file = Sheets(pixels, None if open_mask is None else _opened(open_mask))
    except BaseException:
        pixels.close()
        raise
    kept = [note for note in notes.values() if note]
    return Recovered(file, bytearray(b"\1" * grid.count), kept, is_copy=True)


def _check_identity(header: Header, identity: Identity, grid: BlockGrid) -> None:
    was = header.identity
    if was.inputs != identity.inputs:
        raise OfAnotherRun("PAN or MS has changed since")
    if was.settings != identity.settings or (header.blocks, header.block_bytes) != (
        grid.count,
        grid.block_bytes,
    ):
        raise OfAnotherRun("it was made with another bundle, backend, option or version")
    if was.constants != identity.constants:
        raise OfAnotherRun("the scene calibrates otherwise now: its pixels or the engine have changed")


def _opened(open_mask: Callable[[], BlockFile]) -> BlockFile:
    try:
        return open_mask()
    except OSError as error:
        raise Unfit(f"its mask cannot be used ({one_line(error)})") from error


def _check_frame(file: BlockFile, header: Header) -> None:
    end = header.first_byte + file.grid.all_bytes
    try:
        whole = end <= header.file_bytes == file.size and file.frame_digest() == header.frame
    except OSError:
        whole = False
    if not whole:
        raise Unfit("its file is damaged")


def _proven(file: Sheets, journal: Journal) -> tuple[bytearray, list[bytes]]:
    """1 for each block whose bytes match its record, and their notes; each is read once at most."""
    tried, proven = bytearray(file.grid.count), bytearray(file.grid.count)
    notes = []
    try:
        for record in journal.records(file.grid.count):
            if not tried[record.block]:
                tried[record.block] = 1
                proven[record.block] = _matches(file, record.block, record.digest)
                if record.note and proven[record.block]:
                    notes.append(record.note)
    except OSError as error:
        raise Unfit(f"its journal cannot be read ({one_line(error)})") from error
    if damaged := sum(tried) - sum(proven):
        _log.warning("%d of %d finished blocks are damaged and made again", damaged, sum(tried))
    return proven, notes


def _matches(file: Sheets, block: int, digest: bytes) -> bool:
    try:
        return file.digest(block) == digest
    except OSError:  # a sector that cannot be read may well be written
        return False
