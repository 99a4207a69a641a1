"""Bundles put together by hand, so that anything about them may be wrong."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    SCHEMA,
    WEIGHTS_NAME,
    Calibration,
    FileEntry,
    Manifest,
    NetworkShape,
)
from bnnpan_runtime.errors import BundleError
from bnnpan_runtime.weights import TensorLayout, golden_layout, weights_layout

NETWORK = NetworkShape(4, 4, 8, 2, 6, 3, outer_skip=False, pooled_encoder="rectified")
Content = dict[str, bytes]


def random_tensors(layout: dict[str, TensorLayout], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {
        name: (
            rng.normal(size=item.shape) if item.dtype == "float32" else rng.integers(0, 255, item.shape)
        ).astype(item.dtype)
        for name, item in layout.items()
    }
    if "trunk.bits" in tensors:
        tensors["trunk.bits"][..., 1:] = 0  # 8 channels fill the first byte
    return tensors


def files_of_a_bundle() -> Content:
    return {
        WEIGHTS_NAME: save(random_tensors(weights_layout(NETWORK), 1)),
        GOLDEN_NAME: save(random_tensors(golden_layout(NETWORK), 2)),
        MODEL_CARD_NAME: b"# A network\n",
    }


def manifest_of(files: Content) -> dict[str, Any]:
    entries = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}
    roles = ("blue", "green", "red", "nir")
    return Manifest(
        SCHEMA, "test", "none", roles, 11, 2047.0, "centred", 8, NETWORK, Calibration(), 128, entries
    ).to_json()


def good_entries() -> list[tuple[str, bytes]]:
    files = files_of_a_bundle()
    return [(MANIFEST_NAME, json.dumps(manifest_of(files)).encode()), *files.items()]


def write_entries(path: Path, entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


def bundle_with(path: Path, content: Content, /, **changes: Any) -> Path:
    manifest = {**manifest_of(content), **changes}
    return write_entries(path, [(MANIFEST_NAME, json.dumps(manifest).encode()), *content.items()])


def refusal(path: Path, use: Callable[[Bundle], object] = lambda bundle: None) -> str:
    with pytest.raises(BundleError) as caught:
        use(Bundle.open(path))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def with_sizes(path: Path, declared: Callable[[int], int]) -> Path:
    """The bundle with another size of its first entry unpacked, in both of its records."""
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        struct.pack_into("<L", data, start, declared(*struct.unpack_from("<L", data, start)))
    path.write_bytes(data)
    return path
