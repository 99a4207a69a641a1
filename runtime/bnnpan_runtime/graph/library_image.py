"""What of a shared library lies in memory and never changes: its code and its constant tables."""

from __future__ import annotations

import ctypes
from pathlib import Path

__all__ = ["constant_segments", "memory_at"]


def memory_at(address: int, size_bytes: int) -> memoryview:
    """Memory of this process as bytes, to be read as long as it is mapped."""
    return memoryview((ctypes.c_ubyte * size_bytes).from_address(address)).cast("B")


def constant_segments(path: Path) -> list[memoryview]:
    """What the process has mapped of a file for reading only, in the order of addresses."""
    segments = []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            addresses, permissions, _, _, _, *name = line.rstrip("\n").split(maxsplit=5)
            if name == [str(path.resolve())] and permissions.startswith("r") and "w" not in permissions:
                start, end = (int(address, 16) for address in addresses.split("-"))
                segments.append(memory_at(start, end - start))
    return segments
