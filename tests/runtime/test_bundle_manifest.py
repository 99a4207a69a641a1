"""A manifest with an unknown, missing, ill-typed or ambiguous field is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from handmade_bundles import bundle_with, files_of_a_bundle, manifest_of, refusal, write_entries

from bnnpan_runtime.contract import (
    MANIFEST_NAME,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 1),
        ("schema", "2"),
        ("schema", None),
        ("dn_scale", 1e999),
        ("dn_scale", 2048.0),
        ("halo", 7),
        ("halo", -2),
        ("phase", "left"),
        ("units", "dn"),
        ("units", None),
        ("units", ["scene"]),
        ("band_roles", ["red"]),
        ("band_roles", [1, 2, 3, 4]),
        ("band_roles", 4),
        ("network", {}),
        ("network", []),
        ("files", []),
        ("files", {"a": 1}),
        ("surprise", 1),
        ("provenance", []),
        ("bit_depth", 99),
        ("calibration", {"patch": 64, "count": 10**9}),
        ("memory", {"onnx": {"fixed_bytes": 1}}),
        ("memory", {"onnx": {"fixed_bytes": 1, "bytes_per_window_pixel": -1}}),
    ],
)
def test_a_manifest_with_a_wrong_value_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    assert MANIFEST_NAME in refusal(bundle_with(tmp_path / "b", files_of_a_bundle(), **{field: value}))


@pytest.mark.parametrize(
    "field", sorted(set(manifest_of({})) - {"units", "memory", "parity", "provenance", "rollback_counter"})
)
def test_a_manifest_without_a_field_is_refused(tmp_path: Path, field: str) -> None:
    files = files_of_a_bundle()
    manifest = manifest_of(files)
    del manifest[field]
    refusal(write_entries(tmp_path / "b", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()]))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"schema": NaN}', "\xff"])
def test_a_manifest_that_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    assert MANIFEST_NAME in refusal(write_entries(tmp_path / "b", [(MANIFEST_NAME, text.encode("latin-1"))]))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"id": "test"', '"id": "test", "id": "other"'),
        ('"bit_depth": 11', '"bit_depth": 1e1'),
        ('"rollback_counter": 0', '"rollback_counter": 9007199254740992'),
        ('"rollback_counter": 0', f'"rollback_counter": {"9" * 5000}'),
        ('"parity": {}', '"parity": {"onnx": {"largest_dn": 1e999, "rms_dn": 0, "share_over_1dn": 0}}'),
        ('"parity": {}', '"parity": {"onnx": {"largest_dn": true, "rms_dn": 0, "share_over_1dn": 0}}'),
        ('"provenance": {}', '"provenance": {"x": -1e999}'),
        ('"sensor": "none"', '"sensor": "no\\u0000ne"'),
        ('"sensor": "none"', '"sensor": "no\\ud800ne"'),
        ('"sensor": "none"', f'"sensor": "{"n" * 129}"'),
        ('"pooled_encoder": "rectified"', '"pooled_encoder": "other"'),
    ],
)
def test_a_manifest_that_two_readers_could_read_differently_is_refused(
    tmp_path: Path, good: str, bad: str
) -> None:
    files = files_of_a_bundle()
    text = json.dumps(manifest_of(files))
    assert good in text
    changed = text.replace(good, bad).encode()
    assert MANIFEST_NAME in refusal(write_entries(tmp_path / "b", [(MANIFEST_NAME, changed), *files.items()]))
