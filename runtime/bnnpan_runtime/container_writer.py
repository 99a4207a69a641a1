"""Pack a bundle: one zip of deflated entries, the same bytes for the same content and zlib."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from bnnpan_runtime.contract import MANIFEST_NAME, SIGNATURES_NAME

__all__ = ["pack_entries"]

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: no clock enters the file
_READABLE_FILE = 0o100644 << 16
_SMALLEST = 9  # zlib's level
_FIRST = (MANIFEST_NAME, SIGNATURES_NAME)


def pack_entries(files: Mapping[str, bytes]) -> bytes:
    """The container as bytes: the manifest first, its signatures, then the files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files, key=_rank):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.create_system = 3  # Unix, whatever system writes the file
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, _SMALLEST)
    return buffer.getvalue()


def _rank(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)
