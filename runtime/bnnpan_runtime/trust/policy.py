"""Whether a bundle may run here: signed by a trusted key, and not older than what has run before."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bnnpan_runtime.errors import TrustError
from bnnpan_runtime.trust.counters import check_counter, raise_counter
from bnnpan_runtime.trust.ed25519 import verifies
from bnnpan_runtime.trust.ring import TrustedKey, read_ring
from bnnpan_runtime.trust.signatures import Signature

if TYPE_CHECKING:
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.contract import Manifest

__all__ = ["INSTALLED", "UNCHECKED", "UNSIGNED", "Signer", "Trust", "default_ring"]

_log = logging.getLogger(__name__)

_SYSTEM_RING = Path("/etc/bnnpan/trust.toml")


@dataclass(frozen=True)
class Signer:
    """Who vouches for a bundle; `key_id` is None where no key does."""

    name: str
    key_id: str | None = None

    def __str__(self) -> str:
        return self.name if self.key_id is None else f"{self.name} ({self.key_id})"


INSTALLED = Signer("installed")
"""Part of the installed package: as trusted as the program that reads it."""

UNSIGNED = Signer("unsigned")
"""Nobody: it has no signature that is trusted here, and was allowed nevertheless."""

UNCHECKED = Signer("unchecked")
"""The caller of the Python interface, who did not ask for a check."""


def default_ring() -> Path | None:
    """The key ring that holds if none is named: the board's, else the user's, if there is one."""
    # Neither a user without a home nor a folder that cannot be read is an error here.
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    rings = (_SYSTEM_RING, home / "bnnpan" / "trust.toml")
    return next((ring for ring in rings if os.path.isfile(ring)), None)


@dataclass(frozen=True)
class Trust:
    """What a board trusts.

    ring            TOML file of public keys, see `bnnpan_runtime.trust.ring`; None trusts no key
    state           JSON file of the highest counters that have run; None: beside the ring
    allow_unsigned  run what would be refused, and say so
    """

    ring: Path | None
    state: Path | None = None
    allow_unsigned: bool = False

    def check(self, bundle: Bundle) -> Signer:
        """Who vouches for the bundle. Raises TrustError if nobody does, or a newer one has run here."""
        if bundle.is_installed:
            return INSTALLED
        try:
            return self._checked(bundle)
        except TrustError as error:
            if not self.allow_unsigned:
                raise TrustError(
                    f"{bundle.path}: {error}; to use it nevertheless, add --allow-unsigned"
                ) from error
            _log.warning(
                "--allow-unsigned: %s is used although nothing vouches for it: %s", bundle.path, error
            )
            return UNSIGNED

    def remember(self, manifest: Manifest, signer: Signer) -> None:
        """From now on no older bundle of this id is trusted; nothing to remember of one without a key."""
        if signer.key_id is not None and (state := self._state_file()) is not None:
            raise_counter(state, manifest)

    def _checked(self, bundle: Bundle) -> Signer:
        signatures = bundle.signatures()
        if not signatures:
            raise TrustError("it is not signed")
        if self.ring is None:
            raise TrustError("there is no key ring; name one with --trust")
        key = _vouching(bundle, signatures, self.ring)
        if (state := self._state_file()) is not None:
            check_counter(state, bundle.manifest)
        return Signer(key.name, key.id)

    def _state_file(self) -> Path | None:
        if self.state is not None or self.ring is None:
            return self.state
        return self.ring.with_name(f"{self.ring.stem}.counters.json")


def _vouching(bundle: Bundle, signatures: tuple[Signature, ...], path: Path) -> TrustedKey:
    """The first trusted key with a true signature. Raises TrustError with what is wrong with each."""
    ring, message = read_ring(path), bundle.manifest_bytes()
    reasons = []
    for signature in signatures:
        key = ring.get(signature.key_id)
        if key is None:
            reasons.append(f"key {signature.key_id} is not in {path}")
        elif key.revoked:
            reasons.append(f"{key} is revoked")
        elif not key.may_sign(bundle.manifest):
            reasons.append(f"{key} may not sign {bundle.manifest.id!r} for {bundle.manifest.sensor!r}")
        elif not verifies(key.public_key, message, signature.value):
            reasons.append(f"its signature of {key} is forged or damaged")
        else:
            return key
    raise TrustError(f"no trusted signature: {'; '.join(reasons)}")
