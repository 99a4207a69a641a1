"""Power cuts: of what was written since the last sync, the disk holds any part, or none.

A run's writes are recorded. For every moment of the run the disk is rebuilt as a power cut may leave it: what
was synchronised, and of the rest a random choice of sectors; names in the folder change in order, but no name
is certain before its folder is synchronised. Then the same command runs on what is left.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from faults.file_calls import Watched, watching
from faults.small_products import Command, hidden_files, must_be_continued

SECTOR = 512


@dataclass
class File:
    """What the disk surely holds of a file, and the changes since, as (start, data); None: cut to length."""

    durable: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def as_left(self, choice: random.Random) -> bytes:
        """Content after a power cut."""
        content = bytearray(self.durable)
        keep = choice.choice((0.0, 0.3, 0.9, 1.0))
        for start, data in self.since:
            if data is None:
                if choice.random() < keep:
                    content[start:] = b""
                continue
            for at in range(start, start + len(data), SECTOR):
                if choice.random() < keep:
                    sector = data[at - start : at - start + SECTOR]
                    content.extend(bytes(max(0, at + len(sector) - len(content))))
                    content[at : at + len(sector)] = sector
        return bytes(content)

    def synchronise(self) -> None:
        content = bytearray(self.durable)
        for start, data in self.since:
            if data is None:
                content[start:] = b""
            else:
                content.extend(bytes(max(0, start + len(data) - len(content))))
                content[start : start + len(data)] = data
        self.durable, self.since = bytes(content), []


class Disk:
    """A folder as the calls of a run change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, File] = {}
        self.renamings: list[Callable[[dict[str, File]], object]] = []
        self.durable_names: dict[str, File] = {}

    def left(self, choice: random.Random) -> dict[str, bytes]:
        """Names and contents after a power cut."""
        names = dict(self.durable_names)
        for change in self.renamings[: choice.randint(0, len(self.renamings))]:
            change(names)
        return {name: file.as_left(choice) for name, file in names.items()}

    def change_names(self, change: Callable[[dict[str, File]], object]) -> None:
        change(self.names)
        self.renamings.append(change)

    def note(self, call: Watched) -> None:
        """What a call that has been done means for the disk."""
        if call.name in ("unlink", "replace"):
            old, new, *_ = *map(_name, call.arguments), None
            self.change_names(lambda names: _rename(names, old, new))
            return
        path = Path(os.readlink(f"/proc/self/fd/{call.arguments[0]}"))
        if path == self.folder:
            self.durable_names, self.renamings = dict(self.names), []
            return
        file = self._file(path)
        if call.name == "pwrite":
            _, data, start = call.arguments
            file.since.append((start, bytes(data)))
        elif call.name == "ftruncate":
            file.since.append((call.arguments[1], None))
        else:
            file.synchronise()

    def _file(self, path: Path) -> File:
        """A file is new where its first call is seen."""
        if path.name not in self.names:
            file = File(since=[(0, path.read_bytes())])
            self.change_names(lambda names: names.update({path.name: file}))
        return self.names[path.name]


def _name(path: str | os.PathLike[str]) -> str:
    return Path(path).name


def _rename(names: dict[str, File], old: str, new: str | None) -> None:
    """Give a file another name, or none."""
    file = names.pop(old, None)
    if file is not None and new is not None:
        names[new] = file


def cut_everywhere(command: Command, out: Path, seeds: int) -> list[dict[str, bytes]]:
    """What power cuts at each call of a run may leave behind; the last `seeds` of them come after its end."""
    disk, left = Disk(out.parent), []

    def watcher(call: Watched) -> object:
        missing = call.name == "unlink" and not os.path.exists(call.arguments[0])
        if not missing:
            # Before the call is done: as if it had just begun, with its data already on the way.
            disk.note(call)
        left.extend(disk.left(random.Random(f"{call.index} {seed}")) for seed in range(seeds))
        return call.do()

    with watching(watcher):
        command.run(out)
    return left + [disk.left(random.Random(seed)) for seed in range(seeds)]


def survivors(left: list[dict[str, bytes]], out: Path, product: bytes) -> list[int]:
    """Tiles that were kept after each power cut; -2 where the product is wrong."""
    kept = []
    for files in left:
        for path in out.parent.iterdir():
            path.unlink()
        for name, content in files.items():
            (out.parent / name).write_bytes(content)
        if out.name in files and files[out.name] != product:
            kept.append(-2)
            continue
        kept.append(Command().run(out) if must_be_continued(out) else -1)
        assert (out.read_bytes(), hidden_files(out)) == (product, [])
    return kept


@pytest.mark.parametrize("seeds", [4, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_the_product_is_completed_whatever_the_disk_holds(product: bytes, out: Path, seeds: int):
    kept = survivors(cut_everywhere(Command(), out, seeds), out, product)
    assert -2 not in kept
    assert {0, 1, 2, 3, 4, -1} <= set(kept)


def test_a_product_that_was_announced_survives(product: bytes, out: Path):
    for files in cut_everywhere(Command(), out, 20)[-20:]:
        assert files[out.name] == product


def test_without_synchronising_products_would_be_lost(product: bytes, out: Path):
    """The recorded disk does lose what is not synchronised, or the test above would prove nothing."""
    with ExitStack() as stack:
        stack.enter_context(patch("bnnpan_runtime.product.block_file.BlockFile.sync", lambda self: None))
        left = cut_everywhere(Command(), out, 12)
    assert -2 in survivors(left, out, product)
