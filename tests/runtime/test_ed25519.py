"""Our verification beside RFC 8032, OpenSSL, and the edge cases that implementations disagree on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requirements import require_package
from signing_keys import Key

from bnnpan_runtime.trust.ed25519 import _BASE, _ORDER, _PRIME, _encoded, _times, is_public_key, verifies

# RFC 8032, 7.1: secret key, public key, message, signature of TEST 1, 2, 3 and SHA(abc).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]

# Points of order 1, 2, 4 and 8, canonical and not (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_verify_and_are_what_the_tests_signer_makes(
    seed: str, public: str, message: str, signature: str
):
    key = Key(bytes.fromhex(seed))
    assert key.public.hex() == public and key.sign(bytes.fromhex(message)).hex() == signature
    assert verifies(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


def test_any_flipped_bit_of_key_message_or_signature_is_refused():
    key, message = Key.number(1), b"a manifest"
    signature = key.sign(message)
    for index in range(0, 512, 23):
        flipped = bytearray(signature)
        flipped[index // 8] ^= 1 << index % 8
        assert not verifies(key.public, message, bytes(flipped))
    for index in range(0, 256, 23):
        flipped = bytearray(key.public)
        flipped[index // 8] ^= 1 << index % 8
        assert not verifies(bytes(flipped), message, signature)
    assert not verifies(key.public, message + b" ", signature)
    assert not verifies(Key.number(2).public, message, signature)


def test_a_second_signature_cannot_be_made_of_a_first():
    key, message = Key.number(3), b"a manifest"
    signature = key.sign(message)
    scalar = int.from_bytes(signature[32:], "little")
    for other in (scalar + _ORDER, scalar + 8 * _ORDER, _ORDER):
        assert not verifies(key.public, message, signature[:32] + other.to_bytes(32, "little"))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_points_of_small_order_are_no_keys_and_sign_nothing(point: str):
    assert not is_public_key(bytes.fromhex(point))
    forged = bytes.fromhex(SMALL_ORDER[0]) + bytes(32)  # verifies any message where such keys are allowed
    assert not verifies(bytes.fromhex(point), b"anything", forged)


def test_keys_and_commitments_have_one_encoding():
    for y in (_PRIME, _PRIME + 1, 2**255 - 1):
        assert not is_public_key(y.to_bytes(32, "little"))
    key, message = Key.number(4), b"m"
    # R = neutral element, S = challenge * secret: true for its canonical encoding only.
    for encoded, right in (((1).to_bytes(32, "little"), True), ((_PRIME + 1).to_bytes(32, "little"), False)):
        challenge = key._hashed(encoded, key.public, message)
        scalar = challenge * key._secret()[0] % _ORDER
        assert verifies(key.public, message, encoded + scalar.to_bytes(32, "little")) is right


def test_a_key_with_a_part_of_small_order_is_verified_without_the_cofactor():
    """Its signatures count only where the challenge cancels that part, as with OpenSSL."""
    from bnnpan_runtime.trust.ed25519 import _decoded, _sum

    key, torsion = Key.number(5), _decoded(bytes.fromhex(SMALL_ORDER[7]))
    secret, message = key._secret()[0], b"m"
    assert torsion is not None
    mixed = _encoded(_sum(_times(secret, _BASE), torsion))
    outcomes = {}
    for nonce in range(1, 30):
        commitment = _encoded(_times(nonce, _BASE))
        challenge = key._hashed(commitment, mixed, message)
        scalar = (nonce + challenge * secret) % _ORDER
        signature = commitment + scalar.to_bytes(32, "little")
        outcomes[challenge % 8] = verifies(mixed, message, signature)
    assert outcomes[0] is True and not any(right for rest, right in outcomes.items() if rest)


@pytest.mark.parametrize(("key", "signature"), [(b"", b""), (bytes(31), bytes(64)), (bytes(32), bytes(63))])
def test_other_lengths_are_refused(key: bytes, signature: bytes):
    assert not verifies(key, b"", signature)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=200),
    position=st.integers(0, 64 * 8 - 1),
    damage=st.booleans(),
)
def test_openssl_agrees_on_every_signature(seed: bytes, message: bytes, position: int, damage: bool):
    require_package("cryptography")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    oracle = Ed25519PrivateKey.from_private_bytes(seed)
    signature = bytearray(oracle.sign(message))
    assert bytes(signature) == Key(seed).sign(message)
    signature[position // 8] ^= damage << position % 8
    try:
        oracle.public_key().verify(bytes(signature), message)
        expected = True
    except InvalidSignature:
        expected = False
    public = oracle.public_key().public_bytes_raw()
    assert verifies(public, message, bytes(signature)) is expected is not damage
