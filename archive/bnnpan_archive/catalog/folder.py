"""Pairs in a folder and below it, told by the words "pan" and "ms" in the names of files.

scenes/a/pan.tif        scenes/a/ms.tif          scene "a"
scenes/b_PAN.tif        scenes/b_MS.tif          scene "b"
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bnnpan_archive.scene import Scene, safe_name

__all__ = ["scenes_of_folder"]

Kind = Literal["pan", "ms"]

_WORDS: dict[str, Kind] = {"pan": "pan", "ms": "ms", "mul": "ms", "mss": "ms"}
_RASTERS = {".tif", ".tiff", ".vrt", ".ntf", ".nitf", ".jp2", ".img"}

_log = logging.getLogger(__name__)


def scenes_of_folder(folder: Path, without: Path) -> list[Scene]:
    """Scenes of a folder, sorted by name; a PAN or MS that is alone is left out with a warning."""
    found: dict[tuple[Path, str], dict[Kind, Path]] = {}
    for path in _rasters(folder.absolute(), without.absolute()):
        kind, rest = _kind(path.stem)
        if kind is not None:
            found.setdefault((path.parent, rest), {}).setdefault(kind, path)
    scenes = []
    for (parent, rest), pair in sorted(found.items()):
        if len(pair) < 2:
            (alone,) = pair.values()
            _log.warning("%s is left out: nothing beside it makes a pair with it", alone)
            continue
        inside = "_".join((*parent.relative_to(folder.absolute()).parts, *([rest] if rest else [])))
        scenes.append(
            Scene(safe_name(inside or folder.absolute().name), str(pair["pan"]), (str(pair["ms"]),))
        )
    return scenes


def _rasters(folder: Path, without: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and Path(parent, name) != without)
        for name in sorted(files):
            if name[0] != "." and Path(name).suffix.lower() in _RASTERS:
                yield Path(parent, name)


def _kind(stem: str) -> tuple[Kind | None, str]:
    """What a file holds, by the one word of its name that says so, and the name without it."""
    words = re.split(r"[_\-. ]+", stem)
    telling = [word for word in words if word.lower() in _WORDS]
    if len(telling) != 1:
        return None, stem
    words.remove(telling[0])
    return _WORDS[telling[0].lower()], "_".join(words)
