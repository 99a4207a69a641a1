"""The key ring of a board: public keys whose bundles it runs, in one TOML file.

    [[key]]
    name = "ground-2026"
    public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    bundles = ["bgrn-*"]   # ids it may sign, with * and ?; all without this line
    sensors = ["*"]        # sensors it may sign for; all without this line
    revoked = false        # true: nothing it signed is trusted any more

The public key file that `bnnpan key new` writes is a ring of one key, and rings are joined by joining files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bnnpan_runtime.contract import Manifest
from bnnpan_runtime.errors import TrustError, one_line
from bnnpan_runtime.trust.ed25519 import KEY_BYTES, is_public_key
from bnnpan_runtime.trust.signatures import key_id

__all__ = ["MAX_KEYS", "TrustedKey", "format_key", "parse_ring", "read_ring"]

MAX_KEYS = 64
_MAX_RING_BYTES = 64 * 2**10
_LONGEST_NAME = 64
_FIELDS = {"name": str, "public_key": str, "bundles": list, "sensors": list, "revoked": bool}
_REQUIRED = ("name", "public_key")


@dataclass(frozen=True)
class TrustedKey:
    """A public key and what it may sign."""

    name: str
    public_key: bytes
    bundles: tuple[str, ...] = ("*",)
    sensors: tuple[str, ...] = ("*",)
    revoked: bool = False

    @property
    def id(self) -> str:
        """The key's short name, the same on every ring."""
        return key_id(self.public_key)

    def may_sign(self, manifest: Manifest) -> bool:
        """Whether id and sensor of a bundle are among those the key is for."""
        return _matches(manifest.id, self.bundles) and _matches(manifest.sensor, self.sensors)

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


def read_ring(path: Path) -> dict[str, TrustedKey]:
    """Keys of a ring by their ids. Raises TrustError if the file cannot be read or is not a ring."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_RING_BYTES + 1)
    except OSError as error:
        raise TrustError(f"{path}: cannot read the key ring: {error.strerror or error}") from error
    try:
        return parse_ring(content)
    except ValueError as error:
        raise TrustError(f"{path}: not a key ring: {one_line(error)}") from error


def parse_ring(content: bytes) -> dict[str, TrustedKey]:
    """Keys of a ring's TOML text by their ids. Raises ValueError."""
    if len(content) > _MAX_RING_BYTES:
        raise ValueError(f"it has more than {_MAX_RING_BYTES} bytes")
    try:
        value = tomllib.loads(content.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if unknown := sorted(set(value) - {"key"}):
        raise ValueError(f"{unknown[0]} is not known there; it holds [[key]] tables")
    tables = value.get("key", [])
    if not isinstance(tables, list) or len(tables) > MAX_KEYS:
        raise ValueError(f"it does not hold up to {MAX_KEYS} [[key]] tables")
    ring: dict[str, TrustedKey] = {}
    for number, table in enumerate(tables, 1):
        key = _parsed(table, f"key {number}")
        if key.id in ring:
            raise ValueError(f"{key} is in it twice")
        ring[key.id] = key
    return ring


def format_key(key: TrustedKey) -> str:
    """The key as a part of a ring."""
    return f'[[key]]  # id {key.id}\nname = "{key.name}"\npublic_key = "{key.public_key.hex()}"\n'


def _parsed(table: Any, where: str) -> TrustedKey:
    if not isinstance(table, dict):
        raise ValueError(f"{where} is not a table")
    for name, value in table.items():
        if name not in _FIELDS or not isinstance(value, _FIELDS[name]):
            raise ValueError(f"{where}: {name} is not known or of another type")
    if missing := [name for name in _REQUIRED if name not in table]:
        raise ValueError(f"{where}: {missing[0]} is missing")
    patterns = {}
    for name in ("bundles", "sensors"):
        patterns[name] = tuple(table.get(name, ["*"]))
        if not all(isinstance(pattern, str) for pattern in patterns[name]):
            raise ValueError(f"{where}: {name} are not texts")
    name = table["name"]
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or '"' in name or "\\" in name:
        raise ValueError(f"{where}: name is not 1 to {_LONGEST_NAME} letters")
    return TrustedKey(
        name, _public_key(table["public_key"], where), **patterns, revoked=table.get("revoked", False)
    )


def _public_key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"{where}: public_key is not hex digits") from error
    if len(key) != KEY_BYTES or not is_public_key(key):
        raise ValueError(f"{where}: public_key is not an Ed25519 key of {KEY_BYTES} bytes")
    return key


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
