"""The signatures of a bundle: `signatures.json`, a file beside the manifest, which cannot list it.

Signed are the bytes of `manifest.json` as they are: the manifest holds the SHA-256 of every other file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bnnpan_runtime.trust.ed25519 import SIGNATURE_BYTES

__all__ = [
    "MAX_SIGNATURES",
    "MAX_SIGNATURES_BYTES",
    "Signature",
    "format_signatures",
    "key_id",
    "parse_signatures",
]

MAX_SIGNATURES = 8
"""More than any rotation needs; what a reader verifies is bounded by it."""

MAX_SIGNATURES_BYTES = 4096

_SCHEMA = 1
_ALGORITHM = "ed25519"
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_ID_BYTES = 8


@dataclass(frozen=True)
class Signature:
    """One signature and which key it claims to be of; both as lower-case hex digits."""

    key_id: str
    signature: str
    algorithm: str = _ALGORITHM

    @property
    def value(self) -> bytes:
        """The 64 bytes of the signature."""
        return bytes.fromhex(self.signature)


def key_id(public_key: bytes) -> str:
    """What a key is called in short: the first 8 bytes of its SHA-256, in hex."""
    return hashlib.sha256(public_key).hexdigest()[: 2 * _ID_BYTES]


def format_signatures(signatures: Sequence[Signature]) -> bytes:
    """Content of `signatures.json`. Raises ValueError for more than can be read back."""
    if len(signatures) > MAX_SIGNATURES:
        raise ValueError(f"a bundle has at most {MAX_SIGNATURES} signatures")
    value = {"schema": _SCHEMA, "signatures": [asdict(signature) for signature in signatures]}
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def parse_signatures(content: bytes) -> tuple[Signature, ...]:
    """Signatures of a `signatures.json`, not yet verified. Raises ValueError for anything else."""
    if len(content) > MAX_SIGNATURES_BYTES:
        raise ValueError(f"it has more than {MAX_SIGNATURES_BYTES} bytes")
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict) or set(value) != {"schema", "signatures"}:
        raise ValueError("it is not an object of schema and signatures")
    if type(value["schema"]) is not int or value["schema"] != _SCHEMA:
        raise ValueError(f"its schema is not {_SCHEMA}; update bnnpan-runtime")
    items = value["signatures"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_SIGNATURES:
        raise ValueError(f"it does not hold 1 to {MAX_SIGNATURES} signatures")
    signatures = tuple(_parsed(item) for item in items)
    if len({signature.key_id for signature in signatures}) != len(signatures):
        raise ValueError("it holds two signatures of one key")
    return signatures


def _parsed(item: Any) -> Signature:
    if not isinstance(item, dict) or set(item) != {"algorithm", "key_id", "signature"}:
        raise ValueError("a signature is not an object of algorithm, key_id and signature")
    if item["algorithm"] != _ALGORITHM:
        raise ValueError(f"a signature is not of the algorithm {_ALGORITHM}")
    for name, size in (("key_id", _ID_BYTES), ("signature", SIGNATURE_BYTES)):
        text = item[name]
        if not isinstance(text, str) or len(text) != 2 * size or not _HEX.fullmatch(text):
            raise ValueError(f"{name} of a signature is not {2 * size} lower-case hex digits")
    return Signature(item["key_id"], item["signature"])
