"""Damage to files and to the memory of a running process, chosen by a seeded generator."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path


def flip_file(path: Path, flips: int, chance: random.Random) -> str:
    """Flip bits of a file in place, its times kept as radiation would; says which."""
    times = path.stat()
    said = []
    with path.open("r+b") as file:
        for _ in range(flips):
            offset, bit = chance.randrange(max(times.st_size, 1)), chance.randrange(8)
            file.seek(offset)
            byte = file.read(1)
            if byte:
                file.seek(offset)
                file.write(bytes([byte[0] ^ 1 << bit]))
                said.append(f"{offset}.{bit}")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return f"{path.name} at {', '.join(said)}"


def grow(path: Path, chance: random.Random) -> str:
    """Append up to 64 KiB."""
    extra = chance.randbytes(chance.randint(1, 1 << 16))
    with path.open("ab") as file:
        file.write(extra)
    return f"{path.name} by {len(extra)} bytes"


def truncate(path: Path, chance: random.Random) -> str:
    """Cut to a length between nothing and all but one byte."""
    length = chance.randrange(path.stat().st_size)
    os.truncate(path, length)
    return f"{path.name} to {length} bytes"


@dataclass(frozen=True)
class Region:
    """A mapping of a process that is in memory at least in part."""

    start: int
    end: int
    resident_bytes: int
    name: str


def flip_memory(pid: int, flips: int, chance: random.Random) -> str:
    """Flip bits of pages that are in memory, in any mapping, read-only ones and code included; says which."""
    regions = [region for region in _regions(pid) if region.resident_bytes and region.name != "[vvar]"]
    said = []
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for region in chance.choices(regions, [region.resident_bytes for region in regions], k=flips):
            address = chance.randrange(region.start, region.end)
            try:
                memory.seek(address)
                byte = memory.read(1)[0]
                memory.seek(address)
                memory.write(bytes([byte ^ 1 << chance.randrange(8)]))
            except (OSError, OverflowError, IndexError):  # pages that nobody may read, such as guard pages
                continue
            said.append(f"{address:#x} in {Path(region.name).name or 'anonymous memory'}")
    return ", ".join(said) or "no page could be changed"


def _regions(pid: int) -> list[Region]:
    regions: list[Region] = []
    start = end = 0
    name = ""
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            field = line.split(None, 5)
            if "-" in field[0] and not field[0].endswith(":"):
                low, _, high = field[0].partition("-")
                start, end = int(low, 16), int(high, 16)
                name = field[5].strip() if len(field) > 5 else ""
            elif field[0] == "Rss:":
                regions.append(Region(start, end, int(field[1]) << 10, name))
    return regions
