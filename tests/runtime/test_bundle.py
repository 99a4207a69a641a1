from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
    SCHEMA,
    SIGNATURES_NAME,
    WEIGHTS_NAME,
    Calibration,
    FileEntry,
    Manifest,
    NetworkShape,
)
from bnnpan_runtime.errors import BundleError
from bnnpan_runtime.trust.signatures import Signature, format_signatures
from bnnpan_runtime.weights import TensorLayout, golden_layout, weights_layout

NETWORK = NetworkShape(4, 4, 8, 2, 6, 3, outer_skip=False, pooled_encoder="rectified")
Content = dict[str, bytes]


def random_tensors(layout: dict[str, TensorLayout], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = {
        name: (
            rng.normal(size=item.shape) if item.dtype == "float32" else rng.integers(0, 255, item.shape)
        ).astype(item.dtype)
        for name, item in layout.items()
    }
    if "trunk.bits" in tensors:
        tensors["trunk.bits"][..., 1:] = 0  # 8 channels fill the first byte
    return tensors


def files_of_a_bundle() -> Content:
    return {
        WEIGHTS_NAME: save(random_tensors(weights_layout(NETWORK), 1)),
        GOLDEN_NAME: save(random_tensors(golden_layout(NETWORK), 2)),
        MODEL_CARD_NAME: b"# A network\n",
    }


def manifest_of(files: Content) -> dict[str, Any]:
    entries = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}
    roles = ("blue", "green", "red", "nir")
    return Manifest(
        SCHEMA, "test", "none", roles, 11, 2047.0, "centred", 8, NETWORK, Calibration(), 128, entries
    ).to_json()


def write(path: Path, entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


def bundle_with(path: Path, content: Content, /, **changes: Any) -> Path:
    manifest = {**manifest_of(content), **changes}
    return write(path, [(MANIFEST_NAME, json.dumps(manifest).encode()), *content.items()])


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def good(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    files = files_of_a_bundle()
    entries = [(MANIFEST_NAME, json.dumps(manifest_of(files)).encode()), *files.items()]
    return write(tmp_path / "good.bnnpan", entries, request.param)


def refusal(path: Path, use: Callable[[Bundle], object] = lambda bundle: None) -> str:
    with pytest.raises(BundleError) as caught:
        use(Bundle.open(path))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_a_good_bundle_gives_its_manifest_weights_and_golden_tile(good: Path) -> None:
    bundle = Bundle.open(good)
    assert bundle.manifest.network == NETWORK
    assert bundle.weights()["trunk.bits"].shape == (2, 4, 8, 3, 3, 4)
    assert bundle.golden().hrms.shape == (-(-4 * 128 * 128 // 17),)
    assert bundle.read(MODEL_CARD_NAME) == b"# A network\n"
    assert len(bundle.sha256) == 64


def test_a_manifest_from_before_there_were_units_is_of_the_bit_depth(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    manifest = manifest_of(files)
    del manifest["units"]
    path = write(tmp_path / "old", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()])
    assert Bundle.open(path).manifest.units == "bit_depth"
    path = bundle_with(tmp_path / "scene", files, units="scene")
    assert Bundle.open(path).manifest.units == "scene"


def test_a_file_the_bundle_lacks_is_named(good: Path) -> None:
    assert "fuse.onnx" in refusal(good, lambda bundle: bundle.read("fuse.onnx"))


def test_missing_file_names_the_shipped_bundles(tmp_path: Path) -> None:
    assert "no such bundle" in refusal(tmp_path / "absent.bnnpan")


def test_a_folder_with_the_name_of_a_shipped_bundle_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bgrn-x4").mkdir()
    assert Bundle.open("bgrn-x4").manifest.id == "bgrn-x4"


def test_directory_empty_file_and_garbage_are_refused(tmp_path: Path) -> None:
    assert "not a file" in refusal(tmp_path)
    (empty := tmp_path / "empty").write_bytes(b"")
    assert "too short" in refusal(empty)
    (garbage := tmp_path / "garbage").write_bytes(np.random.default_rng(0).bytes(5000))
    assert "not a usable bundle" in refusal(garbage)


def test_every_truncation_is_refused(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    for length in np.linspace(1, len(data) - 1, 60).astype(int):
        (cut := tmp_path / "cut").write_bytes(data[:length])
        refusal(cut)


def test_appended_and_prepended_bytes_are_refused(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    for content in (data + b"x", b"x" + data, data + data):
        (changed := tmp_path / "changed").write_bytes(content)
        refusal(changed)


def test_a_flipped_byte_in_any_entry_is_found_before_use(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    for name, entry in Bundle.open(good).entries.items():
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
    good: Path, tmp_path: Path
) -> None:
    data = good.read_bytes()
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
    path = write(tmp_path / "b", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()])
    assert "SHA-256" in refusal(path, lambda bundle: bundle.read(MODEL_CARD_NAME))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    entries = [(MANIFEST_NAME, json.dumps(manifest_of(files)).encode()), *files.items()]
    assert "twice" in refusal(write(tmp_path / "b", [*entries, entries[1]]))


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a//b", "C:evil", "a\\b", "a\x01", "ä"]
)
def test_names_that_leave_the_bundle_are_refused(tmp_path: Path, name: str) -> None:
    files = files_of_a_bundle()
    entries = [(MANIFEST_NAME, json.dumps(manifest_of(files)).encode()), *files.items()]
    refusal(write(tmp_path / "b", [*entries, (name, b"x")]))


def test_entries_that_unpack_to_too_much_are_refused_unread(tmp_path: Path) -> None:
    bomb = write(tmp_path / "bomb", [(MANIFEST_NAME, bytes(64 * 2**20 + 1))], zipfile.ZIP_DEFLATED)
    assert "unpack to more than" in refusal(bomb)
    parts = [(f"part{i}", bytes(8 * 2**20)) for i in range(9)]
    assert "unpack to more than" in refusal(write(tmp_path / "parts", parts, zipfile.ZIP_DEFLATED))


def with_sizes(path: Path, declared: Callable[[int], int]) -> Path:
    """The bundle with another size of its first entry unpacked, in both of its records."""
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        struct.pack_into("<L", data, start, declared(*struct.unpack_from("<L", data, start)))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("declared", [lambda size: size - 1, lambda size: size + 1, lambda size: 0])
def test_an_entry_that_unpacks_to_another_size_is_refused(
    tmp_path: Path, declared: Callable[[int], int]
) -> None:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    path = write(tmp_path / "b", [(MANIFEST_NAME, manifest), *files.items()], zipfile.ZIP_DEFLATED)
    assert "damaged" in refusal(with_sizes(path, declared))


def test_no_more_than_the_declared_size_is_unpacked(tmp_path: Path) -> None:
    bomb = write(tmp_path / "bomb", [(MANIFEST_NAME, bytes(60 * 2**20))], zipfile.ZIP_DEFLATED)
    with_sizes(bomb, lambda size: 1000)
    tracemalloc.start()
    try:
        assert "damaged" in refusal(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    assert "neither stored nor deflated" in refusal(write(tmp_path / "b", [(MANIFEST_NAME, b"{}")], method))


def test_bytes_behind_the_end_of_a_deflated_entry_are_refused(tmp_path: Path) -> None:
    packed = zlib.compress(b"{}", wbits=-15) + b"hidden"
    path = write(tmp_path / "b", [(MANIFEST_NAME, packed)])
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
    assert "claims" in refusal(write(tmp_path / "b", [(f"f{i}", b"") for i in range(1000)]))


def test_a_64_bit_directory_is_refused(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 5, 5, 300, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1)
    (path := tmp_path / "b").write_bytes(data[:-22] + record + locator + data[-22:])
    refusal(path)


def test_overlapping_entries_are_refused(good: Path, tmp_path: Path) -> None:
    data = bytearray(good.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = bytes(4)
    (path := tmp_path / "b").write_bytes(data)
    assert "does not follow" in refusal(path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "b"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert "at most" in refusal(path)


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    path = bundle_with(tmp_path / "b", files, provenance={"notes": "x" * 2**20})
    assert MANIFEST_NAME in refusal(path)


def test_files_the_manifest_does_not_list_are_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    extra = write(tmp_path / "extra", [(MANIFEST_NAME, manifest), *files.items(), ("fuse.onnx", b"x")])
    assert "does not list a file that is there: fuse.onnx" in refusal(extra)
    del files[MODEL_CARD_NAME]
    missing = write(tmp_path / "missing", [(MANIFEST_NAME, manifest), *files.items()])
    assert f"lists a file that is missing: {MODEL_CARD_NAME}" in refusal(missing)
    unknown = bundle_with(tmp_path / "unknown", {**files, "setup.py": b"print()"})
    assert "unknown file: setup.py" in refusal(unknown)
    del files[GOLDEN_NAME]
    assert "required" in refusal(bundle_with(tmp_path / "required", files))


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
    refusal(write(tmp_path / "b", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()]))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"schema": NaN}', "\xff"])
def test_a_manifest_that_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    assert MANIFEST_NAME in refusal(write(tmp_path / "b", [(MANIFEST_NAME, text.encode("latin-1"))]))


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
    assert MANIFEST_NAME in refusal(write(tmp_path / "b", [(MANIFEST_NAME, changed), *files.items()]))


def with_signatures(path: Path, content: bytes) -> Path:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    return write(path, [(MANIFEST_NAME, manifest), (SIGNATURES_NAME, content), *files.items()])


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


def test_a_bundle_that_changes_under_its_reader_is_refused(tmp_path: Path) -> None:
    bundle = Bundle.open(bundle_with(tmp_path / "b", files_of_a_bundle(), rollback_counter=5))
    bundle_with(tmp_path / "b", files_of_a_bundle(), rollback_counter=6)
    with pytest.raises(BundleError, match=r"changed while it was read|damaged"):
        bundle.manifest_bytes()


def bombs(folder: Path) -> Iterator[tuple[Path, Callable[[Bundle], object]]]:
    """Bundles that would take tens of MiB from a reader that believed them."""
    files = files_of_a_bundle()
    packed = zipfile.ZIP_DEFLATED
    yield (
        with_sizes(write(folder / "1", [(MANIFEST_NAME, bytes(60 * 2**20))], packed), lambda size: 99),
        Bundle.open,
    )
    yield write(folder / "2", [(MANIFEST_NAME, bytes(60 * 2**20))], packed), Bundle.open
    yield write(folder / "3", [(f"part{i}", bytes(2**20)) for i in range(65)], packed), Bundle.open
    network = manifest_of(files)["network"]
    yield bundle_with(folder / "4", files, network={**network, "channels": 2**30}), Bundle.weights
    yield bundle_with(folder / "5", files, calibration={"patch": 2**20, "count": 2**20}), Bundle.weights
    yield (
        bundle_with(folder / "6", files, network={**network, "channels": 1024, "blocks": 64}),
        Bundle.weights,
    )
    header = b'{"head.bias":{"dtype":"F32","shape":[1073741824],"data_offsets":[0,4294967296]}}'
    large = struct.pack("<Q", len(header)) + header
    yield bundle_with(folder / "7", {**files, WEIGHTS_NAME: large}), Bundle.weights
    yield bundle_with(folder / "8", {**files, WEIGHTS_NAME: struct.pack("<Q", 2**40) + b"{}"}), Bundle.weights
    wide = {"provenance": {"x": ["y"] * 400_000}}
    yield bundle_with(folder / "9", files, **wide), Bundle.open
    (cut := folder / "10").write_bytes(b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 32, 32, 2**32 - 1, 0, 0))
    yield cut, Bundle.open


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Callable[[Bundle], object]]]:
    return list(bombs(tmp_path_factory.mktemp("hostile")))


def test_no_hostile_bundle_makes_the_reader_allocate_more_than_it_holds(
    tmp_path: Path, hostile: list[tuple[Path, Callable[[Bundle], object]]]
) -> None:
    refusal(tmp_path / "absent", Bundle.weights)  # imports
    for path, use in hostile:
        tracemalloc.start()
        try:
            with pytest.raises(BundleError):
                use(path) if use == Bundle.open else use(Bundle.open(path))
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes < 2 * 2**20, path.name


def test_a_reader_without_memory_to_spare_survives_every_hostile_bundle(
    hostile: list[tuple[Path, Callable[[Bundle], object]]], subprocess_environment: dict[str, str]
) -> None:
    """What no Python tracer sees, such as an unpacker's own memory, is seen by the kernel."""
    names = [str(path) for path, _ in hostile]
    program = (
        "import resource, sys, safetensors.numpy\n"
        "from bnnpan_runtime.bundle import Bundle\n"
        "from bnnpan_runtime.errors import BundleError\n"
        "held = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + 8 * 2**20, -1))\n"
        f"for name in {names!r}:\n"
        "    try:\n"
        "        Bundle.open(name).weights()\n"
        "    except BundleError:\n"
        "        print('refused')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=subprocess_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == ["refused"] * len(names), result.stderr


def test_weights_of_a_wrong_shape_dtype_or_value_are_refused(tmp_path: Path) -> None:
    def with_weights(name: str, value: np.ndarray | None) -> str:
        tensors = random_tensors(weights_layout(NETWORK), 1)
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
        files = {**files_of_a_bundle(), WEIGHTS_NAME: save(tensors)}
        return refusal(bundle_with(tmp_path / "b", files), Bundle.weights)

    assert "head.bias is float32 (9,)" in with_weights("head.bias", np.zeros(9, np.float32))
    assert "head.bias is float64" in with_weights("head.bias", np.zeros(8))
    assert "not finite" in with_weights("head.bias", np.full(8, np.nan, np.float32))
    assert "tail.bias is missing" in with_weights("tail.bias", None)
    assert "surprise is unknown" in with_weights("surprise", np.zeros(1, np.float32))
    assert "beyond channel 7" in with_weights("trunk.bits", np.full((2, 4, 8, 3, 3, 4), 255, np.uint8))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, b"\xff" * 64, struct.pack("<Q", 2**60) + b"{}", b"\x80\x04K\x01."]
)
def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = bundle_with(tmp_path / "b", {**files_of_a_bundle(), WEIGHTS_NAME: content})
    assert WEIGHTS_NAME in refusal(path, Bundle.weights)
