"""A disk whose power can be cut: what the file system had not yet handed to it is lost.

An ext4 image behind a loop device, for which one has to be root. The image file holds what the file system
has written to its disk; the rest is in the page cache and goes away with the power. ext4's own help for
programs that do not sync (`auto_da_alloc`) is off: other file systems do not give it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.limits.disk import why_no_small_disk

_SIZE_BYTES = 48 << 20


class LossyDisk:
    """One such disk, mounted at `place`."""

    def __init__(self, folder: Path) -> None:
        self._image, self._held = folder / "image", folder / "held"
        self.place = folder / "mounted"
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZE_BYTES)
        _call("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._mount()
        os.sync()

    def hold(self) -> None:
        """Remember what the disk holds at this moment."""
        _call("cp", "--sparse=always", str(self._image), str(self._held))

    def cut(self) -> str:
        """Go back to what it held, as after the power came back: the file system's journal is replayed."""
        self.unmount()
        shutil.move(self._held, self._image)
        self._mount()
        return "power cut"

    def unmount(self) -> None:
        """Let go of it."""
        _call("umount", str(self.place))

    def _mount(self) -> None:
        _call("mount", "-o", "loop,noauto_da_alloc", str(self._image), str(self.place))


@contextmanager
def lossy_disk(parent: Path) -> Iterator[LossyDisk]:
    """A fresh one. Raises ConfigError where none can be made."""
    reason = why_no_power_cut()
    if reason is not None:
        raise ConfigError(f"no power can be cut here: {reason}; leave powercut out of --kinds")
    with tempfile.TemporaryDirectory(prefix="disk-", dir=parent) as folder:
        disk = LossyDisk(Path(folder))
        try:
            yield disk
        finally:
            disk.unmount()


def why_no_power_cut() -> str | None:
    """Why not, in words; None if it works, as far as can be seen before trying."""
    return why_no_small_disk()


def _call(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ConfigError(f"{command[0]}: {result.stderr.strip()}")
