"""Folders of control groups: where the caller's own one is, and new ones below it."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_REMOVE_SECONDS = 2.0


def own_group(filesystem: str, controller: str | None = None) -> Path:
    """Folder of the caller's group in the hierarchy of `controller` (version 1), or the unified one.

    The mount may show only a part of the hierarchy (containers): its root is cut from the group's path.
    """
    path = _own_path(controller)
    for line in read(Path("/proc/self/mountinfo")).splitlines():
        mount, _, source = line.partition(" - ")
        root, point = mount.split()[3:5]
        kind, _, options = source.split()[:3]
        if kind != filesystem or (controller is not None and controller not in options.split(",")):
            continue
        return Path(point + "/" + path.removeprefix(root.rstrip("/")).lstrip("/"))
    raise OSError(f"no {filesystem} hierarchy is mounted" + (f" for {controller}" if controller else ""))


def _own_path(controller: str | None) -> str:
    for line in read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if (controller or "") in controllers.split(","):
            return path
    raise OSError(f"the kernel has no {controller or 'unified'} hierarchy")


@contextmanager
def group_below(parent: Path) -> Iterator[Path]:
    """A new group; whatever is left inside is killed on leaving, and the group removed."""
    group = Path(tempfile.mkdtemp(prefix="bnnpan_sim_", dir=parent))
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Kill what is left inside and remove the group, which is possible once the last of it is gone."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while time.monotonic() < deadline:
        for pid in read(group / "cgroup.procs").split():
            with suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def read(path: Path) -> str:
    """A control file's text; empty where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def write_if_there(path: Path, value: int) -> None:
    """For control files that not every kernel has."""
    with suppress(OSError):
        path.write_text(str(value))
