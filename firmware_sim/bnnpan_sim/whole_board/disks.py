"""Disks of the emulated board: ext4 images, filled and read without mounting them, so without root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bnnpan_runtime.memory import MIB
from bnnpan_sim.aarch64.debian import call, find

_SPARE_BYTES = 32 * MIB
"""For the file system's own tables and journal, besides a tenth of the contents."""


def make_disk(path: Path, contents: Path, free_bytes: int, *, journal: bool = True) -> None:
    """An image that holds a folder's contents, all of them root's, with room for `free_bytes` more."""
    size_bytes = size_of(contents) * 11 // 10 + _SPARE_BYTES + free_bytes
    with path.open("wb") as file:
        file.truncate(size_bytes)
    features = [] if journal else ["-O", "^has_journal"]
    options = ["-q", "-F", "-t", "ext4", "-m", "0", *features]
    call([find("mke2fs"), *options, "-E", "root_owner=0:0", "-d", str(contents), str(path)], contents)


def read_back(disk: Path, folder: Path) -> None:
    """Copy `out` and `result.json` of a disk into a folder; what is not there is left out."""
    for request in ("rdump /out .", "dump /result.json result.json"):
        call([find("debugfs"), "-R", request, str(disk)], folder)


def link_tree(source: Path, target: Path) -> None:
    """A second name for every file of a folder, in a folder of the same file system."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link, dirs_exist_ok=True)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, in whole blocks of 4 KiB."""
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in folder.rglob("*"))
