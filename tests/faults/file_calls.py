"""Every call by which a run changes files, watched: to record it, to fail it, or to die there."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

NAMES = ("ftruncate", "pwrite", "fdatasync", "fsync", "replace", "unlink")
"""Functions of `os`; nothing else writes to the files of a product."""

Call = Callable[..., Any]
Moment = Literal["before", "torn", "after"]


@dataclass(frozen=True)
class Watched:
    """One call, with the function that really does it."""

    index: int
    name: str
    real: Call
    arguments: tuple[Any, ...]

    def do(self) -> Any:
        return self.real(*self.arguments)

    def do_half(self) -> int:
        """Write the first half of what was to be written."""
        descriptor, data, start = self.arguments
        return int(self.real(descriptor, memoryview(data)[: len(data) // 2], start))


@contextmanager
def watching(watcher: Callable[[Watched], Any]) -> Iterator[None]:
    """Let `watcher` do all calls that change files."""
    counter = iter(range(10**9))
    real = {name: getattr(os, name) for name in NAMES}

    def stand_in(name: str) -> Call:
        # pathlib passes no keywords; the interpreter's own clean-up of other files is none of the run's.
        return lambda *arguments: watcher(Watched(next(counter), name, real[name], arguments))

    for name in NAMES:
        setattr(os, name, stand_in(name))
    try:
        yield
    finally:
        for name in NAMES:
            setattr(os, name, real[name])


def dying_at(index: int, moment: Moment) -> Callable[[Watched], Any]:
    """SIGKILL at one call: before it, after it, or (a write) when half of it is done."""

    def watcher(call: Watched) -> Any:
        if call.index != index:
            return call.do()
        try:
            if moment == "after":
                call.do()
            elif moment == "torn":
                call.do_half()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    return watcher


def failing_at(index: int, code: int, *, lasting: bool) -> Callable[[Watched], Any]:
    """An error at one call, or at each from there on that needs the disk; a full one takes half a write."""

    def watcher(call: Watched) -> Any:
        needs_disk = call.name in ("pwrite", "fdatasync", "fsync")
        if call.index != index and not (lasting and call.index > index and needs_disk):
            return call.do()
        if code == errno.ENOSPC and call.name == "pwrite" and call.index == index:
            return call.do_half()
        raise OSError(code, os.strerror(code))

    return watcher
