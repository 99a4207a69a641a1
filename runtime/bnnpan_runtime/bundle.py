"""Open a bundle: one file with everything a board needs to run a network.

Safe on untrusted input: nothing in a bundle is executed or unpickled, every size is bounded before it is
read, and every file's SHA-256 is compared with the manifest before its content is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.container import Entry, read_directory, read_entry
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    GRAPH_NAMES,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    WEIGHTS_NAME,
    Manifest,
)
from bnnpan_runtime.errors import BundleError
from bnnpan_runtime.weights import STORED_SIDE, golden_layout, parse_tensors, weights_layout

__all__ = ["Bundle", "Golden", "shipped_bundles"]

SUFFIX = ".bnnpan"
_SHIPPED = Path(__file__).parent / "bundles"
_MAX_MANIFEST_BYTES = 2**20
_REQUIRED = {WEIGHTS_NAME, GOLDEN_NAME}
_KNOWN = {*_REQUIRED, MODEL_CARD_NAME, *GRAPH_NAMES}
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
        manifest = _parse_manifest(path, raw)
        _check_files(path, manifest, entries)
        return cls(path, manifest, hashlib.sha256(raw).hexdigest(), entries)

    def read(self, name: str) -> bytes:
        """Content of one file, its size and SHA-256 checked. Raises BundleError if absent or different."""
        if name not in self.manifest.files:
            raise BundleError(f"{self.path}: has no {name}; export it with that format")
        content = read_entry(self.path, self.entries[name])
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name].sha256:
            raise BundleError(f"{self.path}: {name} is not the file its manifest lists (SHA-256 differs)")
        return content

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


def _parse_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # lone surrogates, which no log or tag can hold
        manifest = Manifest.from_json(value)
        _check_values(manifest)
    except KeyError as error:
        raise BundleError(f"{path}: {MANIFEST_NAME}: field {error} is missing") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST_NAME}: {' '.join(str(error).split())}") from error
    return manifest


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _check_values(manifest: Manifest) -> None:
    """Refuse sizes no real bundle has, before anything is allocated from them."""
    network, calibration = manifest.network, manifest.calibration
    bounds = {
        "network.bands": (network.bands, 1, 64),
        "network.ratio": (network.ratio, 2, 16),
        "network.channels": (network.channels, 1, 1024),
        "network.blocks": (network.blocks, 1, 64),
        "network.latent": (network.latent, 1, 4096),
        "network.prior_steps": (network.prior_steps, 1, 1024),
        "calibration.patch": (calibration.patch, 2, 1024),
        "calibration.count": (calibration.count, 1, 256),
        "bit_depth": (manifest.bit_depth, 1, 16),
        "halo": (manifest.halo, 0, 512),
        "tflite_window": (manifest.tflite_window, 0, 4096),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, must be {low} to {high}")
    for name, value in (("calibration.patch", calibration.patch), ("halo", manifest.halo)):
        if value % 2:
            raise ValueError(f"{name} is {value}, must be even")
    if STORED_SIDE % network.ratio:
        raise ValueError(f"network.ratio {network.ratio} does not divide the golden tile ({STORED_SIDE})")
    if manifest.dn_scale != 2**manifest.bit_depth - 1:
        raise ValueError(f"dn_scale is {manifest.dn_scale}, must be 2**bit_depth - 1")
    if manifest.phase not in ("centred", "toolbox"):
        raise ValueError(f"phase {manifest.phase!r} is neither 'centred' nor 'toolbox'")
    if manifest.units not in ("bit_depth", "scene"):
        raise ValueError(
            f"units {manifest.units!r} are neither 'bit_depth' nor 'scene'; update bnnpan-runtime"
        )
    if len(manifest.band_roles) != network.bands or not all(isinstance(r, str) for r in manifest.band_roles):
        raise ValueError(f"band_roles must be {network.bands} names, one per band")
    for name, memory in manifest.memory.items():
        if not 0 <= memory.bytes_per_window_pixel < 2**20 or memory.fixed_bytes > 2**34:
            raise ValueError(f"memory[{name!r}] is beyond any real machine")


def _check_files(path: Path, manifest: Manifest, entries: Mapping[str, Entry]) -> None:
    listed, present = set(manifest.files), set(entries) - {MANIFEST_NAME}
    for problem, names in (
        ("lists an unknown file", listed - _KNOWN),
        ("does not list a required file", _REQUIRED - listed),
        ("lists a file that is missing", listed - present),
        ("does not list a file that is there", present - listed),
    ):
        if names:
            raise BundleError(f"{path}: {MANIFEST_NAME} {problem}: {min(names)}")
    for name, file in manifest.files.items():
        size = entries[name].size
        if not _SHA256.fullmatch(file.sha256):
            raise BundleError(
                f"{path}: {MANIFEST_NAME}: the SHA-256 of {name} is not 64 lower-case hex digits"
            )
        if file.size_bytes != size:
            raise BundleError(f"{path}: {name} has {size} bytes, its manifest says {file.size_bytes}")
