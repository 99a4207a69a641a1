"""One run at a time for one product: a lock on a hidden file, from the first step to the last."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bnnpan_runtime.errors import OutputError, one_line

__all__ = ["Claim", "claimed"]


@dataclass(frozen=True)
class Claim:
    """The locked file, open without a buffer; the lock ends with its process, the file stays."""

    path: Path
    file: BinaryIO

    def release(self) -> None:
        """Remove the file, as the last step of a run: whoever waits for its lock then starts anew."""
        self.path.unlink(missing_ok=True)


@contextmanager
def claimed(product: Path, path: Path) -> Iterator[Claim]:
    """Create or open the file at `path` and lock it for this product. Raises OutputError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise OutputError(f"{product}: cannot be created ({one_line(error)}); check the folder") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputError(f"{path} is not a file; remove it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{product} is being written by another run; wait for it to end") from error
        except OSError as error:
            raise OutputError(
                f"{path} cannot be locked ({one_line(error)}); choose a folder whose file system knows locks"
            ) from error
        # Between opening and locking, another run may have finished and removed the file.
        if not _still_names(path, descriptor):
            raise OutputError(f"{product} has just been written by another run; run again to replace it")
        yield Claim(path, file)


def _still_names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
