"""A container that is no plain zip file of a few entries is refused in one clear error."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from handmade_bundles import (
    bundle_with,
    files_of_a_bundle,
    good_entries,
    manifest_of,
    refusal,
    with_sizes,
    write_entries,
)

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    MANIFEST_NAME,
    MODEL_CARD_NAME,
)
from bnnpan_runtime.errors import BundleError


def test_directory_empty_file_and_garbage_are_refused(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path)
    (empty := tmp_path / "empty").write_bytes(b"")
    assert "too short" in refusal(empty)
    (garbage := tmp_path / "garbage").write_bytes(np.random.default_rng(0).bytes(5000))
    assert "not a usable bundle" in refusal(garbage)


def test_every_truncation_is_refused(good_bundle: Path, tmp_path: Path) -> None:
    data = good_bundle.read_bytes()
    for length in np.linspace(1, len(data) - 1, 60).astype(int):
        (cut := tmp_path / "cut").write_bytes(data[:length])
        refusal(cut)


def test_appended_and_prepended_bytes_are_refused(good_bundle: Path, tmp_path: Path) -> None:
    data = good_bundle.read_bytes()
    for content in (data + b"x", b"x" + data, data + data):
        (changed := tmp_path / "changed").write_bytes(content)
        refusal(changed)


def test_a_flipped_byte_in_any_entry_is_found_before_use(good_bundle: Path, tmp_path: Path) -> None:
    data = good_bundle.read_bytes()
    for name, entry in Bundle.open(good_bundle).entries.items():
        for position in (0, entry.packed_size // 2, entry.packed_size - 1):
            flipped = bytearray(data)
            flipped[entry.offset + position] ^= 1
            (path := tmp_path / "flipped").write_bytes(flipped)
            refusal(path, lambda bundle, name=name: bundle.read(name))


def test_another_letter_in_the_manifest_is_found_by_its_checksum(tmp_path: Path) -> None:
    good = bundle_with(tmp_path / "good", files_of_a_bundle())
    (path := tmp_path / "b").write_bytes(good.read_bytes().replace(b'"id": "test"', b'"id": "tesu"'))
    assert "checksum" in refusal(path)


def test_a_flipped_bit_anywhere_in_the_directory_never_escapes_as_another_error(
    good_bundle: Path, tmp_path: Path
) -> None:
    data = good_bundle.read_bytes()
    start = data.index(b"PK\x01\x02")
    for position in range(start, len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        (path := tmp_path / "flipped").write_bytes(flipped)
        try:
            bundle = Bundle.open(path)
        except BundleError:
            continue
        assert bundle.weights()  # only fields without meaning here, such as times, may differ


def test_exchanged_content_with_a_right_checksum_is_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    manifest = manifest_of(files)
    files[MODEL_CARD_NAME] = b"# B network\n"
    path = write_entries(tmp_path / "b", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()])
    assert "SHA-256" in refusal(path, lambda bundle: bundle.read(MODEL_CARD_NAME))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    entries = good_entries()
    assert "twice" in refusal(write_entries(tmp_path / "b", [*entries, entries[1]]))


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a//b", "C:evil", "a\\b", "a\x01", "ä"]
)
def test_names_that_leave_the_bundle_are_refused(tmp_path: Path, name: str) -> None:
    entries = good_entries()
    refusal(write_entries(tmp_path / "b", [*entries, (name, b"x")]))


@pytest.mark.parametrize("declared", [lambda size: size - 1, lambda size: size + 1, lambda size: 0])
def test_an_entry_that_unpacks_to_another_size_is_refused(
    tmp_path: Path, declared: Callable[[int], int]
) -> None:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    path = write_entries(tmp_path / "b", [(MANIFEST_NAME, manifest), *files.items()], zipfile.ZIP_DEFLATED)
    assert "damaged" in refusal(with_sizes(path, declared))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    assert "neither stored nor deflated" in refusal(
        write_entries(tmp_path / "b", [(MANIFEST_NAME, b"{}")], method)
    )


def test_bytes_behind_the_end_of_a_deflated_entry_are_refused(tmp_path: Path) -> None:
    packed = zlib.compress(b"{}", wbits=-15) + b"hidden"
    path = write_entries(tmp_path / "b", [(MANIFEST_NAME, packed)])
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 8, data.index(b"PK\x01\x02") + 10):
        struct.pack_into("<H", data, start, zipfile.ZIP_DEFLATED)
        struct.pack_into("<LLL", data, start + 6, zlib.crc32(b"{}"), len(packed), 2)
    path.write_bytes(data)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("hidden", [{"extra": b"\xfe\xca\x02\x00hi"}, {"comment": b"hi"}])
def test_content_beside_the_entries_is_refused(tmp_path: Path, hidden: dict[str, bytes]) -> None:
    files = files_of_a_bundle()
    path = tmp_path / "b"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST_NAME, json.dumps(manifest_of(files)).encode())
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            for field, value in hidden.items():
                setattr(entry, field, value)
            archive.writestr(entry, data)
    assert "extra fields or a comment" in refusal(path)


def test_a_directory_with_very_many_entries_is_refused(tmp_path: Path) -> None:
    assert "claims" in refusal(write_entries(tmp_path / "b", [(f"f{i}", b"") for i in range(1000)]))


def test_a_64_bit_directory_is_refused(good_bundle: Path, tmp_path: Path) -> None:
    data = good_bundle.read_bytes()
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 5, 5, 300, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    (path := tmp_path / "b").write_bytes(data[:-22] + record + locator + data[-22:])
    refusal(path)


def test_overlapping_entries_are_refused(good_bundle: Path, tmp_path: Path) -> None:
    data = bytearray(good_bundle.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = bytes(4)
    (path := tmp_path / "b").write_bytes(data)
    assert "does not follow" in refusal(path)
