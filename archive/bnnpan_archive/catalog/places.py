"""Where a raster is that a catalogue names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["located"]


def located(name: str, folder: Path) -> str:
    """An absolute path, from the catalogue's folder; what only GDAL finds (/vsizip/, https://) as it is."""
    parts = urlsplit(name)
    if parts.scheme == "file":
        return unquote(parts.path)
    if len(parts.scheme) > 1 or name.startswith("/vsi"):
        return name
    return str((folder / name).absolute())
