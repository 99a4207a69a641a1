"""Write the bundle: one zip of deflated entries, the same bytes for the same content and zlib."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from bnnpan_export.freeze import FrozenNetwork
from bnnpan_runtime.contract import MANIFEST_NAME, FileEntry, Manifest
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.weights import weights_layout

__all__ = ["file_entries", "pack_bundle", "weights_file", "write_bundle"]

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: no clock enters the file
_READABLE_FILE = 0o100644 << 16
_SMALLEST = 9  # zlib's level


def weights_file(network: FrozenNetwork) -> bytes:
    """`weights.safetensors`: `trunk.bits` as uint8, all other tensors as float32."""
    layout = weights_layout(network.shape)
    return save({name: np.ascontiguousarray(network[name], layout[name].dtype) for name in sorted(layout)})


def file_entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """SHA-256 and size of each file, by name."""
    return {
        name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
        for name, content in sorted(files.items())
    }


def pack_bundle(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
    """The bundle as bytes: the manifest first, its `files` filled in, then the files by name."""
    manifest = replace(manifest, files=file_entries(files))
    text = json.dumps(manifest.to_json(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, MANIFEST_NAME, text.encode() + b"\n")
        for name, content in sorted(files.items()):
            _add(archive, name, content)
    return buffer.getvalue()


def write_bundle(path: Path, content: bytes) -> None:
    """Put the bundle under its final name in one step. Raises `OutputError` if it cannot be written."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}: choose a writable folder") from error


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIMESTAMP)
    entry.create_system = 3  # Unix, whatever system writes the file
    entry.external_attr = _READABLE_FILE
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, _SMALLEST)
