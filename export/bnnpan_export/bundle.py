"""Make the bundle of a network: its manifest, its weights, and one container around all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from bnnpan_export.emit import FrozenNetwork
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import MANIFEST_NAME, SIGNATURES_NAME, FileEntry, Manifest
from bnnpan_runtime.durable_file import write_file as write_bundle
from bnnpan_runtime.trust.signatures import format_signatures
from bnnpan_runtime.weights import weights_layout

if TYPE_CHECKING:
    from bnnpan_export.signing import SigningKey

__all__ = ["file_entries", "pack_bundle", "weights_file", "write_bundle"]


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


def pack_bundle(manifest: Manifest, files: Mapping[str, bytes], key: SigningKey | None = None) -> bytes:
    """The bundle as bytes, the manifest's `files` filled in; signed by `key`, if there is one."""
    manifest = replace(manifest, files=file_entries(files))
    text = json.dumps(manifest.to_json(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    entries = {MANIFEST_NAME: text.encode() + b"\n", **files}
    if key is not None:
        entries[SIGNATURES_NAME] = format_signatures([key.signature(entries[MANIFEST_NAME])])
    return pack_entries(entries)
