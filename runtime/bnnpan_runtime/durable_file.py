"""Files that are there whole or not at all, and outlast a power failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bnnpan_runtime.claim import claimed
from bnnpan_runtime.errors import OutputError

__all__ = ["replacing", "sync_folder", "write_file"]


def write_file(path: Path, content: bytes) -> None:
    """Put a file under its name in one step that lasts through a power failure. Raises OutputError."""
    with replacing(path, content):
        pass


@contextmanager
def replacing(path: Path, content: bytes) -> Iterator[Path]:
    """Give a look at a file before it gets its name: whatever is raised meanwhile, `path` stays as it was.

    What is looked at is what gets the name, as nobody else writes it. Raises OutputError if it cannot be
    written, or another process is about to.
    """
    with claimed(path, path.with_name(f".{path.name}.partial")) as claim:
        try:
            _write_through(claim.file, content)
            yield claim.path
            os.replace(claim.path, path)
            sync_folder(path)
        except OSError as error:
            claim.release()
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}: choose a writable folder"
            ) from error
        except BaseException:
            claim.release()
            raise


def sync_folder(path: Path) -> None:
    """Return when the disk holds the names of the folder that a file lies in. Raises OSError."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_through(file: BinaryIO, content: bytes) -> None:
    """Into an unbuffered file, which may hold what a killed process has left."""
    file.truncate(0)
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
