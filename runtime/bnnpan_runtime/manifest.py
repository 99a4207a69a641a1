"""Read `manifest.json`: every value is checked before anything is allocated from it.

`schema/manifest-2.json` says the same as a JSON schema, but for the rules that tie one field to another.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from bnnpan_runtime.container import MAX_FILE_BYTES
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    GRAPH_NAMES,
    MODEL_CARD_NAME,
    WEIGHTS_NAME,
    FileEntry,
    Manifest,
)

__all__ = ["MAX_COUNTER", "parse_manifest"]

MAX_COUNTER = 2**53 - 1
"""The largest whole number that every JSON reader keeps."""

_REQUIRED = {WEIGHTS_NAME, GOLDEN_NAME}
_KNOWN = {*_REQUIRED, MODEL_CARD_NAME, *GRAPH_NAMES}
_LONGEST_NAME = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in these bytes. Raises ValueError with the field that is wrong."""
    try:
        value = json.loads(
            raw, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_distinct
        )
        json.dumps(value, ensure_ascii=False).encode()  # lone surrogates, which no log or tag can hold
        manifest = Manifest.from_json(value)
    except KeyError as error:
        raise ValueError(f"field {error} is missing") from error
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    _check_sizes(manifest)
    _check_words(manifest)
    _check_memory(manifest)
    _check_files(manifest.files)
    return manifest


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:32]} is beyond every real number")
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers must not see two manifests: no field occurs twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return value


def _check_sizes(manifest: Manifest) -> None:
    """Refuse sizes no real bundle has."""
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
        "rollback_counter": (manifest.rollback_counter, 0, MAX_COUNTER),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, must be {low} to {high}")
    for name, value in (("calibration.patch", calibration.patch), ("halo", manifest.halo)):
        if value % 2:
            raise ValueError(f"{name} is {value}, must be even")
    if manifest.dn_scale != 2**manifest.bit_depth - 1:
        raise ValueError(f"dn_scale is {manifest.dn_scale}, must be 2**bit_depth - 1")


def _check_words(manifest: Manifest) -> None:
    network = manifest.network
    if manifest.phase not in ("centred", "toolbox"):
        raise ValueError(f"phase {manifest.phase!r} is neither 'centred' nor 'toolbox'")
    if manifest.units not in ("bit_depth", "scene"):
        raise ValueError(
            f"units {manifest.units!r} are neither 'bit_depth' nor 'scene'; update bnnpan-runtime"
        )
    if network.pooled_encoder not in ("linear", "rectified"):
        raise ValueError(f"network.pooled_encoder {network.pooled_encoder!r} is unknown")
    roles = manifest.band_roles
    if len(roles) != network.bands or not all(isinstance(role, str) for role in roles):
        raise ValueError(f"band_roles must be {network.bands} names, one per band")
    for text in (manifest.id, manifest.sensor, *roles):
        if len(text) > _LONGEST_NAME or _CONTROL.search(text):
            raise ValueError(f"{text[:_LONGEST_NAME]!r} is not a name of up to {_LONGEST_NAME} letters")


def _check_memory(manifest: Manifest) -> None:
    for name, memory in manifest.memory.items():
        if not 0 <= memory.bytes_per_window_pixel < 2**20 or memory.fixed_bytes > 2**34:
            raise ValueError(f"memory[{name!r}] is beyond any real machine")


def _check_files(files: Mapping[str, FileEntry]) -> None:
    for problem, names in (
        ("lists an unknown file", set(files) - _KNOWN),
        ("does not list a required file", _REQUIRED - set(files)),
    ):
        if names:
            raise ValueError(f"{problem}: {min(names)}")
    for name, file in files.items():
        if not _SHA256.fullmatch(file.sha256):
            raise ValueError(f"the SHA-256 of {name} is not 64 lower-case hex digits")
        if file.size_bytes > MAX_FILE_BYTES:
            raise ValueError(f"{name} has {file.size_bytes} bytes, at most {MAX_FILE_BYTES} are allowed")
