"""Tables of scenes: a row each, as CSV with a head or as JSON.

name     of the scene; the folder or the file of PAN, if left out
pan      path, from the table's folder
ms       path, or several: a list in JSON, with semicolons between them in CSV
bands    which band of MS is which, optional, written like `ms`
memory   budget of this scene, such as 256MiB, optional
datetime when it was taken, in UTC as 2026-11-22T03:04:05Z, optional
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnnpan_archive.scene import Scene, safe_name
from bnnpan_runtime.errors import ConfigError, SceneError, one_line
from bnnpan_runtime.memory import parse_size

from .places import located

__all__ = ["scenes_of_rows", "scenes_of_table"]

_COLUMNS = {"name", "pan", "ms", "bands", "memory", "datetime"}


def scenes_of_table(path: Path) -> list[Scene]:
    """Scenes of a CSV file. Raises SceneError if it cannot be read, ConfigError if a row is wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise SceneError(f"{path}: cannot be read as a table ({one_line(error)})") from error
    return scenes_of_rows(rows, path)


def scenes_of_rows(rows: Any, path: Path) -> list[Scene]:
    """Scenes of a list of rows, or of `{"scenes": [...]}`. Raises ConfigError."""
    if isinstance(rows, Mapping):
        rows = rows.get("scenes")
    if not isinstance(rows, list):
        raise ConfigError(
            f'{path}: neither a STAC file nor a list of scenes; write [{{"pan": ..., "ms": ...}}]'
        )
    return [_scene(row, path, f"{path}, scene {number}") for number, row in enumerate(rows, 1)]


def _scene(row: Any, path: Path, where: str) -> Scene:
    if not isinstance(row, Mapping) or not row.get("pan") or not row.get("ms"):
        raise ConfigError(f"{where}: needs pan and ms")
    if unknown := sorted(map(str, set(row) - _COLUMNS)):
        raise ConfigError(f"{where}: {unknown[0]} is not known; columns are {', '.join(sorted(_COLUMNS))}")
    pan = Path(str(row["pan"]))
    try:
        memory = parse_size(row["memory"]) if row.get("memory") else None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    return Scene(
        name=safe_name(
            str(row.get("name") or (pan.parent if pan.stem.lower() == "pan" else pan.with_suffix("")))
        ),
        pan=located(str(pan), path.parent),
        ms=tuple(located(part, path.parent) for part in _several(row["ms"], where)),
        bands=_several(row.get("bands") or (), where),
        memory_bytes=memory,
        acquired=str(row["datetime"]) if row.get("datetime") else None,
    )


def _several(value: Any, where: str) -> tuple[str, ...]:
    """Text with semicolons, or a list of texts. Raises ConfigError."""
    parts = value.split(";") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ConfigError(f"{where}: {value!r} is neither text nor a list of texts")
    return tuple(part.strip() for part in parts)
