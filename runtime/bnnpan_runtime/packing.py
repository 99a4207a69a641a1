"""Write a bundle: one zip of deflated entries, the same bytes for the same content and zlib."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bnnpan_runtime.claim import claimed
from bnnpan_runtime.contract import MANIFEST_NAME, SIGNATURES_NAME
from bnnpan_runtime.errors import OutputError

__all__ = ["pack_entries", "replacing", "write_file"]

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: no clock enters the file
_READABLE_FILE = 0o100644 << 16
_SMALLEST = 9  # zlib's level
_FIRST = (MANIFEST_NAME, SIGNATURES_NAME)


def pack_entries(files: Mapping[str, bytes]) -> bytes:
    """The container as bytes: the manifest first, its signatures, then the files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files, key=_rank):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.create_system = 3  # Unix, whatever system writes the file
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, _SMALLEST)
    return buffer.getvalue()


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
            _sync_folder(path.parent)
        except OSError as error:
            claim.release()
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}: choose a writable folder"
            ) from error
        except BaseException:
            claim.release()
            raise


def _write_through(file: BinaryIO, content: bytes) -> None:
    """Into an unbuffered file, which may hold what a killed process has left."""
    file.truncate(0)
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rank(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)
