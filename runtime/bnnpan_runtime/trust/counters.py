"""The highest rollback counter a board has run of each bundle, kept across runs and power failures."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bnnpan_runtime.contract import Manifest
from bnnpan_runtime.durable_file import sync_folder
from bnnpan_runtime.errors import TrustError, one_line

__all__ = ["check_counter", "raise_counter"]

_SCHEMA = 1
_MAX_STATE_BYTES = 2**20


def check_counter(state: Path, manifest: Manifest) -> None:
    """Raises TrustError if a newer bundle of this id has run here, or the state cannot be read."""
    highest = _read(state).get(manifest.id, 0)
    if manifest.rollback_counter < highest:
        raise TrustError(
            f"rollback counter {manifest.rollback_counter} of {manifest.id} is older than {highest}, which"
            f" has run here ({state}); use a newer bundle"
        )


def raise_counter(state: Path, manifest: Manifest) -> None:
    """Remember that this bundle runs here; writes only if its counter is higher than the one known.

    Raises TrustError if it cannot be remembered: then nothing would keep an older bundle out.
    """
    try:
        with _locked(state.parent):
            check_counter(state, manifest)
            counters = _read(state)
            if manifest.rollback_counter > counters.get(manifest.id, 0):
                _write(state, {**counters, manifest.id: manifest.rollback_counter})
    except OSError as error:
        raise TrustError(
            f"{state}: cannot keep the rollback counters: {error.strerror or error}; name a writable file"
            " with --state"
        ) from error


def _read(state: Path) -> dict[str, int]:
    try:
        with state.open("rb") as file:
            content = file.read(_MAX_STATE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TrustError(f"{state}: cannot read: {error.strerror or error}") from error
    try:
        return _parsed(content)
    except (ValueError, RecursionError) as error:
        raise TrustError(
            f"{state}: not a file of rollback counters ({one_line(error)}); delete it to begin anew"
        ) from error


def _parsed(content: bytes) -> dict[str, int]:
    if len(content) > _MAX_STATE_BYTES:
        raise ValueError(f"more than {_MAX_STATE_BYTES} bytes")
    value = json.loads(content)
    if not isinstance(value, dict) or set(value) != {"schema", "counters"} or value["schema"] != _SCHEMA:
        raise ValueError(f"not an object of schema {_SCHEMA} and counters")
    counters: Any = value["counters"]
    if not isinstance(counters, dict) or not all(type(n) is int and n >= 0 for n in counters.values()):
        raise ValueError("counters are not whole numbers >= 0")
    return dict(counters)


def _write(state: Path, counters: dict[str, int]) -> None:
    """Replace the file in one step that lasts: old or new after a power failure, never between."""
    partial = state.with_name(f".{state.name}.partial")
    text = json.dumps({"schema": _SCHEMA, "counters": counters}, indent=1, sort_keys=True)
    with partial.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, state)
    sync_folder(state)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs at once must not forget each other's counters."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
