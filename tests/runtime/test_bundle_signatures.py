"""Signatures lie beside the manifest, in one form only; whether they count is `test_trust.py`'s matter."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from handmade_bundles import bundle_with, files_of_a_bundle, manifest_of, refusal, write_entries

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    MANIFEST_NAME,
    SIGNATURES_NAME,
)
from bnnpan_runtime.trust.signatures import Signature, format_signatures


def with_signatures(path: Path, content: bytes) -> Path:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    return write_entries(path, [(MANIFEST_NAME, manifest), (SIGNATURES_NAME, content), *files.items()])


def test_signatures_are_read_beside_the_manifest_which_does_not_list_them(tmp_path: Path) -> None:
    signatures = (Signature("0" * 16, "1" * 128), Signature("2" * 16, "3" * 128))
    bundle = Bundle.open(with_signatures(tmp_path / "b", format_signatures(signatures)))
    assert bundle.signatures() == signatures
    assert hashlib.sha256(bundle.manifest_bytes()).hexdigest() == bundle.sha256
    assert Bundle.open(bundle_with(tmp_path / "c", files_of_a_bundle())).signatures() == ()


SIGNATURE = {"algorithm": "ed25519", "key_id": "0" * 16, "signature": "1" * 128}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"schema": 2, "signatures": [SIGNATURE]},
        {"schema": True, "signatures": [SIGNATURE]},
        {"schema": 1, "signatures": []},
        {"schema": 1, "signatures": [SIGNATURE] * 2},
        {"schema": 1, "signatures": [{**SIGNATURE, "key_id": f"{n:016x}"} for n in range(9)]},
        {"schema": 1, "signatures": [SIGNATURE], "more": 1},
        {"schema": 1, "signatures": [{**SIGNATURE, "algorithm": "none"}]},
        {"schema": 1, "signatures": [{**SIGNATURE, "key_id": "0" * 15 + "G"}]},
        {"schema": 1, "signatures": [{**SIGNATURE, "signature": "1" * 126}]},
        {"schema": 1, "signatures": [{**SIGNATURE, "signature": 1}]},
        {"schema": 1, "signatures": [{**SIGNATURE, "more": 1}]},
    ],
)
def test_signatures_of_any_other_form_are_refused(tmp_path: Path, value: Any) -> None:
    path = with_signatures(tmp_path / "b", json.dumps(value).encode())
    assert SIGNATURES_NAME in refusal(path, Bundle.signatures)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 4000])
def test_signatures_that_are_not_json_are_refused(tmp_path: Path, content: bytes) -> None:
    assert SIGNATURES_NAME in refusal(with_signatures(tmp_path / "b", content), Bundle.signatures)


def test_signatures_that_are_too_large_are_refused_unread(tmp_path: Path) -> None:
    assert f"{SIGNATURES_NAME} has more than" in refusal(with_signatures(tmp_path / "b", bytes(4097)))
