"""What is to be fused: a PAN, its MS, and the name of both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnnpan_runtime.errors import ConfigError

__all__ = ["Scene", "check_names", "safe_name"]


@dataclass(frozen=True)
class Scene:
    """One unit of work.

    name          of its folder among the products
    pan, ms       rasters, as absolute paths or as GDAL names them; MS in one file or several
    bands         which band of MS is which, where the catalogue says so
    memory_bytes  its own budget, if not that of all
    acquired      when it was taken, in UTC as 2026-11-22T03:04:05Z, where the catalogue says so
    item          file of the STAC item it is listed by
    """

    name: str
    pan: str
    ms: tuple[str, ...]
    bands: tuple[str, ...] = ()
    memory_bytes: int | None = None
    acquired: str | None = None
    item: str | None = None


def safe_name(text: str) -> str:
    """A name that is a plain folder everywhere: letters, digits, dots, dashes, and never hidden."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "scene"


def check_names(scenes: Iterable[Scene], where: str) -> Sequence[Scene]:
    """The scenes, if no two share a folder, on any file system. Raises ConfigError."""
    listed = list(scenes)
    counts = Counter(scene.name.casefold() for scene in listed)
    twice = sorted(scene.name for scene in listed if counts[scene.name.casefold()] > 1)
    if twice:
        raise ConfigError(f"{where}: two scenes are named {twice[0]}; give each a name of its own")
    return listed
