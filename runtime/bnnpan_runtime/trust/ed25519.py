"""Ed25519 verification (RFC 8032, 5.1.7), and nothing that needs a secret.

A board verifies one signature per run, of public data, so neither speed (tens of milliseconds) nor timing
matters: plain integers do, and the flight software needs no cryptographic library. Keys are made and used on
the ground, with `cryptography`.

Strict, as FIPS 186-5 and libsodium are: S below the group order and canonical points only, so that nobody can
make a second signature of a first; no public key of small order, with which one signature fits many messages.
The equation is the one without cofactor, which OpenSSL checks, too.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

__all__ = ["KEY_BYTES", "SIGNATURE_BYTES", "is_public_key", "verifies"]

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_PRIME = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME
_ROOT_OF_MINUS_ONE = pow(2, (_PRIME - 1) // 4, _PRIME)
_COFACTOR = 8


class _Point(NamedTuple):
    """Extended homogeneous coordinates: x = X/Z, y = Y/Z, x*y = T/Z."""

    x: int
    y: int
    z: int
    t: int


_NEUTRAL = _Point(0, 1, 1, 0)


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is one of `message` by the holder of `public_key` (32 bytes)."""
    if len(signature) != SIGNATURE_BYTES or not is_public_key(public_key):
        return False
    key, commitment = _decoded(public_key), signature[:32]
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _ORDER:
        return False
    digest = hashlib.sha512(commitment + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    # An encoding has one form, so a commitment that is not canonical equals none.
    return _encoded(_sum(_times(scalar, _BASE), _times(challenge, _negated(key)))) == commitment


def is_public_key(encoded: bytes) -> bool:
    """Whether these bytes are the canonical encoding of a point that is not of small order."""
    point = _decoded(encoded)
    return point is not None and _times(_COFACTOR, point).x != 0


def _sum(p: _Point, q: _Point) -> _Point:
    """The complete addition law of twisted Edwards curves with a = -1 (RFC 8032, 5.1.4)."""
    a = (p.y - p.x) * (q.y - q.x) % _PRIME
    b = (p.y + p.x) * (q.y + q.x) % _PRIME
    c = 2 * p.t * q.t * _D % _PRIME
    d = 2 * p.z * q.z % _PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return _Point(e * f % _PRIME, g * h % _PRIME, f * g % _PRIME, e * h % _PRIME)


def _times(scalar: int, point: _Point) -> _Point:
    result = _NEUTRAL
    while scalar:
        if scalar & 1:
            result = _sum(result, point)
        point = _sum(point, point)
        scalar >>= 1
    return result


def _negated(point: _Point) -> _Point:
    return _Point(-point.x % _PRIME, point.y, point.z, -point.t % _PRIME)


def _encoded(point: _Point) -> bytes:
    inverse = pow(point.z, -1, _PRIME)
    x, y = point.x * inverse % _PRIME, point.y * inverse % _PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decoded(encoded: bytes) -> _Point | None:
    """The point of a canonical encoding; None for anything else."""
    if len(encoded) != KEY_BYTES:
        return None
    value = int.from_bytes(encoded, "little")
    odd, y = value >> 255, value & (1 << 255) - 1
    if y >= _PRIME:
        return None
    x = _abscissa(y, odd)
    return None if x is None else _Point(x, y, 1, x * y % _PRIME)


def _abscissa(y: int, odd: int) -> int | None:
    """The x of this parity on the curve -x^2 + y^2 = 1 + d x^2 y^2; None without one."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _PRIME) % _PRIME
    if square == 0:
        return None if odd else 0
    x = pow(square, (_PRIME + 3) // 8, _PRIME)
    if x * x % _PRIME != square:
        x = x * _ROOT_OF_MINUS_ONE % _PRIME
    if x * x % _PRIME != square:
        return None
    return x if x & 1 == odd else _PRIME - x


_BASE = _decoded((4 * pow(5, -1, _PRIME) % _PRIME).to_bytes(32, "little")) or _NEUTRAL
