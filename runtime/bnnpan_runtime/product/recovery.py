"""What an interrupted run has left behind, and how much of it may be kept: only what is proven.

The journal is a hint. A run continues if the journal is of the very same run, if everything in the file that
is not pixels is as it was laid out, and then with those blocks whose bytes still match their checksums.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import one_line
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid
from bnnpan_runtime.product.journal import DamagedJournal, Header, Identity, Journal

__all__ = ["OfAnotherRun", "Recovered", "Unfit", "recover"]

_log = logging.getLogger(__name__)


class Unfit(Exception):
    """Nothing of what was left can be kept; the message tells why."""


class OfAnotherRun(Unfit):
    """What was left is sound as far as one can tell, but not what this run would have made."""


@dataclass(frozen=True)
class Recovered:
    """A file to go on with; `blocks` holds 1 for each of its blocks that is finished, else 0."""

    file: BlockFile
    blocks: bytearray


def recover(path: Path, journal: Journal, identity: Identity, grid: BlockGrid) -> Recovered:
    """Open what an interrupted run has left at `path`, and check every block of it. Raises Unfit."""
    try:
        header = journal.header()
        _check_identity(header, identity, grid)
        file = BlockFile(path, grid, header.first_byte)
    except (DamagedJournal, OSError) as error:
        raise Unfit(f"its journal or its file cannot be used ({one_line(error)})") from error
    try:
        _check_frame(file, header)
        return Recovered(file, _proven(file, journal))
    except BaseException:
        file.close()
        raise


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


def _check_frame(file: BlockFile, header: Header) -> None:
    end = header.first_byte + file.grid.all_bytes
    try:
        whole = end <= header.file_bytes == file.size and file.frame_digest() == header.frame
    except OSError:
        whole = False
    if not whole:
        raise Unfit("its file is damaged")


def _proven(file: BlockFile, journal: Journal) -> bytearray:
    """1 for each block whose bytes match its record; each is read once at most."""
    tried, proven = bytearray(file.grid.count), bytearray(file.grid.count)
    try:
        for record in journal.records(file.grid.count):
            if not tried[record.block]:
                tried[record.block] = 1
                proven[record.block] = _matches(file, record.block, record.digest)
    except OSError as error:
        raise Unfit(f"its journal cannot be read ({one_line(error)})") from error
    if damaged := sum(tried) - sum(proven):
        _log.warning("%d of %d finished blocks are damaged and made again", damaged, sum(tried))
    return proven


def _matches(file: BlockFile, block: int, digest: bytes) -> bool:
    try:
        return file.digest(block) == digest
    except OSError:  # a sector that cannot be read may well be written
        return False
