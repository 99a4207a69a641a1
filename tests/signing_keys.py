"""Signing as on the ground, without its library: RFC 8032, 5.1.6, on the points of the verification."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_entry
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import MANIFEST_NAME, SIGNATURES_NAME
from bnnpan_runtime.trust import ed25519
from bnnpan_runtime.trust.ring import TrustedKey, format_key
from bnnpan_runtime.trust.signatures import Signature, format_signatures, key_id


@dataclass(frozen=True)
class Key:
    """A key pair from a seed of 32 bytes."""

    seed: bytes

    @classmethod
    def number(cls, number: int) -> Key:
        return cls(bytes([number]) * 32)

    @property
    def public(self) -> bytes:
        return ed25519._encoded(ed25519._times(self._secret()[0], ed25519._BASE))

    @property
    def id(self) -> str:
        return key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        scalar, prefix = self._secret()
        nonce = self._hashed(prefix, message)
        commitment = ed25519._encoded(ed25519._times(nonce, ed25519._BASE))
        challenge = self._hashed(commitment, self.public, message)
        return commitment + ((nonce + challenge * scalar) % ed25519._ORDER).to_bytes(32, "little")

    def signature(self, manifest: bytes) -> Signature:
        return Signature(self.id, self.sign(manifest).hex())

    def on_ring(self, name: str = "ground", extra: str = "") -> str:
        """Its part of a key ring."""
        return format_key(TrustedKey(name, self.public)) + extra

    def _secret(self) -> tuple[int, bytes]:
        digest = hashlib.sha512(self.seed).digest()
        scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        return scalar, digest[32:]

    def _hashed(self, *parts: bytes) -> int:
        return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ed25519._ORDER


def entries_of(bundle: Bundle) -> dict[str, bytes]:
    return {name: read_entry(bundle.path, entry) for name, entry in bundle.entries.items()}


def signed_copy(bundle: Bundle, path: Path, *keys: Key) -> Path:
    """The bundle under another path, signed by these keys."""
    files = entries_of(bundle)
    files.pop(SIGNATURES_NAME, None)
    if keys:
        files[SIGNATURES_NAME] = format_signatures([key.signature(files[MANIFEST_NAME]) for key in keys])
    path.write_bytes(pack_entries(files))
    return path
