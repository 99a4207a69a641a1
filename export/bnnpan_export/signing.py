"""Keys of the ground and what they sign: Ed25519 by `cryptography`.

A private key is a PKCS #8 file (PEM), which OpenSSL reads too; beside it lies its public key as a ring of one
key, which is all that a board needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_entry
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import SIGNATURES_NAME
from bnnpan_runtime.errors import BackendError, ConfigError, OutputError
from bnnpan_runtime.trust.ring import TrustedKey, format_key
from bnnpan_runtime.trust.signatures import Signature, format_signatures, key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["SigningKey", "new_key", "public_path", "read_key", "signed"]

_LARGEST_KEY_FILE = 16 * 2**10


@dataclass(frozen=True)
class SigningKey:
    """A private key; it is never shown."""

    private: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that boards verify with."""
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        """Short name of the key."""
        return key_id(self.public_key)

    def signature(self, manifest: bytes) -> Signature:
        """Of the bytes of a `manifest.json`."""
        return Signature(self.id, self.private.sign(manifest).hex())


def public_path(path: Path) -> Path:
    """Where the public key of a private key file lies."""
    return path.with_name(f"{path.name}.pub.toml")


def new_key(path: Path, name: str, passphrase: bytes | None = None) -> TrustedKey:
    """Make a key pair: `path` for the private key, which only its owner can read, and its public key file.

    Raises OutputError if either exists or cannot be written, ConfigError for a name no ring can hold.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = TrustedKey(name, private.public_key().public_bytes_raw())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    _check_name(public)
    _write_new(public_path(path), format_key(public).encode(), 0o644)
    _write_new(path, pem, 0o600)
    return public


def read_key(path: Path, ask: Callable[[], bytes]) -> SigningKey:
    """The private key in a file; `ask` gives the passphrase of an encrypted one. Raises ConfigError."""
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_KEY_FILE)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the key: {error.strerror or error}") from error
    passphrase = ask() if b"BEGIN ENCRYPTED PRIVATE KEY" in content else None
    try:
        private = load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: not a private key, or another passphrase") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key; make one with `bnnpan key new`")
    return SigningKey(private)


def signed(bundle: Bundle, key: SigningKey) -> bytes:
    """The bundle as bytes with a signature of `key`, in place of an older one of it; others stay.

    Raises BundleError if any of its files is damaged, ConfigError if it has too many signatures.
    """
    message = bundle.manifest_bytes()
    others = [signature for signature in bundle.signatures() if signature.key_id != key.id]
    files = {name: read_entry(bundle.path, entry) for name, entry in bundle.entries.items()}
    for name in bundle.manifest.files:
        files[name] = bundle.read(name)
    try:
        files[SIGNATURES_NAME] = format_signatures([*others, key.signature(message)])
    except ValueError as error:
        raise ConfigError(f"{bundle.path}: {error}") from error
    return pack_entries(files)


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise BackendError("keys need the package cryptography; install bnnpan[export]") from error


def _check_name(key: TrustedKey) -> None:
    from bnnpan_runtime.trust.ring import parse_ring

    try:
        parse_ring(format_key(key).encode())
    except ValueError as error:
        raise ConfigError(f"{key.name!r} cannot be the name of a key; use plain letters") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise OutputError(f"{path} exists; a key is never replaced: choose another name") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
