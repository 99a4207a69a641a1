"""Where a command may put a file."""

from __future__ import annotations

from pathlib import Path

from bnnpan_runtime.errors import OutputError

__all__ = ["check_output"]


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, a file that is there or has no folder. Raises OutputError."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; create it first")
    if path.exists() and (not overwrite or not path.is_file()):
        raise OutputError(f"{path} exists; choose another name or add --overwrite")
