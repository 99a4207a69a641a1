"""Open a bundle: one file with everything a board needs to run a network.

Safe on untrusted input: nothing in a bundle is executed or unpickled, every size is bounded before it is
read, and every file's SHA-256 is compared with the manifest before its content is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.container import Entry, read_directory, read_entry
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME, Manifest
from bnnpan_runtime.errors import BundleError, one_line
from bnnpan_runtime.manifest import parse_manifest
from bnnpan_runtime.trust.signatures import MAX_SIGNATURES_BYTES, Signature, parse_signatures
from bnnpan_runtime.weights import golden_layout, parse_tensors, weights_layout

__all__ = ["Bundle", "Golden", "shipped_bundles"]

SUFFIX = ".bnnpan"
_SHIPPED = Path(__file__).parent / "bundles"
_MAX_MANIFEST_BYTES = 2**20


@dataclass(frozen=True)
class Golden:
    """A small scene and what the PyTorch reference makes of it, as stored: see `bnnpan_runtime.golden`.

    pan      (64, 64) uint16 DN, the upper left quarter
    ms       (bands, 64 / ratio, 64 / ratio) uint16 DN, that of MS
    affines  (blocks, 2, channels) float32, calibrated on the four quarters
    hrms     uint16 DN, some values of the product
    """

    pan: NDArray[np.uint16]
    ms: NDArray[np.uint16]
    affines: NDArray[np.float32]
    hrms: NDArray[np.uint16]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; content is read, and checked, on demand.

    Two bundles are the same if `sha256`, the digest of the manifest (which holds all others), is the same.
    """

    path: Path
    manifest: Manifest
    sha256: str
    entries: Mapping[str, Entry]

    @classmethod
    def open(cls, path_or_name: str | os.PathLike[str]) -> Bundle:
        """Open a bundle file, or one shipped with the package by its name (such as "bgrn-x4").

        Raises BundleError if it is missing, damaged, of an unknown schema, or holds anything but the files
        its manifest lists.
        """
        path = _locate(path_or_name)
        entries = read_directory(path)
        if MANIFEST_NAME not in entries:
            raise BundleError(f"{path}: not a usable bundle: {MANIFEST_NAME} is missing")
        if entries[MANIFEST_NAME].size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: {MANIFEST_NAME} has more than {_MAX_MANIFEST_BYTES} bytes")
        raw = read_entry(path, entries[MANIFEST_NAME])
        manifest = _parsed_manifest(path, raw)
        _check_entries(path, manifest, entries)
        return cls(path, manifest, hashlib.sha256(raw).hexdigest(), entries)

    def read(self, name: str) -> bytes:
        """Content of one file, its size and SHA-256 checked. Raises BundleError if absent or different."""
        if name not in self.manifest.files:
            raise BundleError(f"{self.path}: has no {name}; export it with that format")
        content = read_entry(self.path, self.entries[name])
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name].sha256:
            raise BundleError(f"{self.path}: {name} is not the file its manifest lists (SHA-256 differs)")
        return content

    def manifest_bytes(self) -> bytes:
        """What signatures are of: `manifest.json` as it was when the bundle was opened."""
        content = read_entry(self.path, self.entries[MANIFEST_NAME])
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleError(f"{self.path}: changed while it was read; open it again")
        return content

    def signatures(self) -> tuple[Signature, ...]:
        """Signatures of the manifest, not verified: see `bnnpan_runtime.trust`; none if it is not signed."""
        if SIGNATURES_NAME not in self.entries:
            return ()
        try:
            return parse_signatures(read_entry(self.path, self.entries[SIGNATURES_NAME]))
        except ValueError as error:
            raise BundleError(f"{self.path}: {SIGNATURES_NAME}: {one_line(error)}") from error

    @property
    def is_installed(self) -> bool:
        """Whether the file is one of those that came with the package."""
        return self.path.resolve().parent == _SHIPPED.resolve()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Tensors for the native engine; names, dtypes and shapes are those of `weights_layout`."""
        layout = weights_layout(self.manifest.network)
        return parse_tensors(self.read(WEIGHTS_NAME), layout, f"{self.path}: {WEIGHTS_NAME}")

    def golden(self) -> Golden:
        """The golden tile, for self-tests."""
        layout = golden_layout(self.manifest.network)
        return Golden(**parse_tensors(self.read(GOLDEN_NAME), layout, f"{self.path}: {GOLDEN_NAME}"))


def shipped_bundles() -> list[str]:
    """Names of the bundles that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob(f"*{SUFFIX}"))


def _locate(path_or_name: str | os.PathLike[str]) -> Path:
    """A file comes first, then a shipped name: a folder of that name does not stand in its way."""
    path = Path(path_or_name)
    if path.is_file():
        return path
    if isinstance(path_or_name, str) and path_or_name in shipped_bundles():
        return _SHIPPED / f"{path_or_name}{SUFFIX}"
    if path.exists():
        return path
    shipped = ", ".join(shipped_bundles()) or "none"
    raise BundleError(f"{path_or_name}: no such bundle; give a {SUFFIX} file or a shipped name ({shipped})")


def _parsed_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        return parse_manifest(raw)
    except ValueError as error:
        raise BundleError(f"{path}: {MANIFEST_NAME}: {one_line(error)}") from error


def _check_entries(path: Path, manifest: Manifest, entries: Mapping[str, Entry]) -> None:
    listed, present = set(manifest.files), set(entries) - {MANIFEST_NAME, SIGNATURES_NAME}
    for problem, names in (
        ("lists a file that is missing", listed - present),
        ("does not list a file that is there", present - listed),
    ):
        if names:
            raise BundleError(f"{path}: {MANIFEST_NAME} {problem}: {min(names)}")
    for name, file in manifest.files.items():
        size = entries[name].size
        if file.size_bytes != size:
            raise BundleError(f"{path}: {name} has {size} bytes, its manifest says {file.size_bytes}")
    if SIGNATURES_NAME in entries and entries[SIGNATURES_NAME].size > MAX_SIGNATURES_BYTES:
        raise BundleError(f"{path}: {SIGNATURES_NAME} has more than {MAX_SIGNATURES_BYTES} bytes")
