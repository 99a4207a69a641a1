"""The file system a kernel starts with: an archive, "newc", see Linux: initramfs-buffer-format.rst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_FOLDER, _FILE, _LINK, _CONSOLE = 0o040755, 0o100755, 0o120777, 0o020600
_CONSOLE_NUMBER = (5, 1)


@dataclass
class _Archive:
    content: bytearray = field(default_factory=bytearray)
    entries: int = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.entries += 1
        path = name.encode() + b"\0"
        # Inode, mode, user, group, links, time, size, where it lies, what device it is, length of name, sum.
        numbers = (self.entries, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        self._append(b"070701" + b"".join(b"%08X" % number for number in numbers) + path)
        self._append(data)

    def _append(self, data: bytes) -> None:
        self.content += data
        self.content += bytes(-len(self.content) % 4)


def initramfs(
    folders: Sequence[str], files: Mapping[str, bytes], links: Mapping[str, str], program: bytes
) -> bytes:
    """The archive: empty folders, files and links by their paths, and `program` as `/init`."""
    archive = _Archive()
    for name in folders:
        archive.add(name, _FOLDER)
    archive.add("dev/console", _CONSOLE, device=_CONSOLE_NUMBER)
    for name, data in files.items():
        archive.add(name, _FILE, data)
    for name, target in links.items():
        archive.add(name, _LINK, target.encode())
    archive.add("init", _FILE, program)
    archive.add("TRAILER!!!", 0)
    return bytes(archive.content)
