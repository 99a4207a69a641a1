"""A disk of a board's free space: an ext4 image behind a loop device, for which one has to be root.

A file system in memory would not do: the kernel counts its files against the memory limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMALLEST_BYTES = 4 << 20


def why_no_small_disk() -> str | None:
    """Why none can be made here, in words; None if one can, as far as can be seen before trying."""
    if os.geteuid() != 0:
        return "mounting a disk image needs root"
    return (
        None
        if shutil.which("mkfs.ext4")
        else "needs mkfs.ext4 (Debian and Ubuntu: apt-get install e2fsprogs)"
    )


@contextmanager
def small_disk(size_bytes: int, parent: Path) -> Iterator[Path]:
    """A new file system of that size, its own records included, mounted below `parent`. Raises OSError."""
    reason = why_no_small_disk()
    if reason is not None:
        raise OSError(reason)
    with tempfile.TemporaryDirectory(prefix="disk-", dir=parent) as folder:
        image, place = Path(folder) / "image", Path(folder) / "mounted"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(max(size_bytes, SMALLEST_BYTES))
        # No blocks kept back for root, no journal: the room is the application's.
        _call("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image))
        _call("mount", "-o", "loop", str(image), str(place))
        try:
            yield place
        finally:
            _call("umount", str(place))


def _call(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"{command[0]}: {result.stderr.strip()}")
