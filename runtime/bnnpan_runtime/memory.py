"""Memory of this process: sizes as people write them, what the kernel counts, buffers that really go away.

Linux only: the figures come from `/proc/self`, as on every board this flies on.
"""

from __future__ import annotations

import math
import mmap
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = [
    "KIB",
    "MIB",
    "Arrays",
    "allocate",
    "allocated_bytes",
    "ceil_mib",
    "format_size",
    "give_back_large_blocks",
    "parse_size",
    "peak_bytes",
    "reset_peak",
    "resident_bytes",
]

Arrays = dict[str, tuple[tuple[int, ...], Any]]
"""Buffers by name: shape and dtype of each."""

KIB = 2**10
MIB = 2**20
GIB = 2**30

_M_MMAP_THRESHOLD = -3

_UNITS = {"": 1, "b": 1, "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_size(size: str | int) -> int:
    """Bytes of "128MiB", "1.5GiB", "64m" or a plain count; units are binary. Raises ValueError else."""
    if isinstance(size, int):
        amount: float = size
        unit = ""
    else:
        match = _SIZE.fullmatch(size)
        unit = match[2].lower() if match else "?"
        if not match or unit not in _UNITS:
            raise ValueError(f"{size!r} is not a size; write it like 128MiB or 1.5GiB (binary units)")
        amount = float(match[1]) if "." in match[1] else int(match[1])
    size_bytes = int(amount * _UNITS[unit])
    if size_bytes <= 0:
        raise ValueError(f"{size!r} is not a size above zero")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """A size for people: "1.5GiB", "128MiB", "97.3MiB", "12KiB"."""
    for name, unit in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f}".removesuffix(".0") + name
    return f"{size_bytes}B"


def ceil_mib(size_bytes: float) -> int:
    """The size rounded up to a whole MiB, in bytes."""
    return math.ceil(size_bytes / MIB) * MIB


def resident_bytes() -> int:
    """Resident set of this process now (VmRSS)."""
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """Largest resident set of this process since its start or the last `reset_peak` (VmHWM)."""
    return _status_bytes("VmHWM")


def reset_peak() -> bool:
    """Start a new measurement of the peak at the present size; False where the kernel does not allow it."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as control:
            control.write("5")
    except OSError:
        return False
    return True


def give_back_large_blocks() -> None:
    """Have malloc return what is freed of a MiB and more at once, in the whole process.

    glibc raises that threshold to the size of large blocks when they are freed (mallopt(3), M_MMAP_THRESHOLD)
    unless it is set, and decoders of rasters then leave holes whose size no plan can know. Other C libraries
    have no such call.
    """
    import ctypes

    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MIB)


def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A zeroed array in an anonymous mapping of its own, returned to the system with its last reference.

    Memory from malloc would not do: glibc raises its mapping threshold when a large block is freed and keeps
    later ones, so that phases of a run add up instead of taking turns.
    """
    import numpy as np

    kind = np.dtype(dtype)
    count = math.prod(shape)
    mapping = mmap.mmap(-1, max(count * kind.itemsize, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(mapping, kind, count).reshape(shape)


def allocated_bytes(arrays: Arrays) -> int:
    """What `allocate` takes for these buffers."""
    import numpy as np

    sizes = (math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in arrays.values())
    return sum(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes)


def _status_bytes(field: str) -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * KIB
    raise OSError(f"/proc/self/status has no {field}; the memory budget needs Linux")
