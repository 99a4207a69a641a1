"""Patches and packets: exact for any content, and no input makes their readers fail otherwise or grow."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from signing_keys import entries_of

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import MANIFEST_NAME, WEIGHTS_NAME
from bnnpan_runtime.uplink import patch as patches
from bnnpan_runtime.uplink.packets import Assembly, read_packet, split
from bnnpan_runtime.uplink.patch import make_patch, patched, read_header
from bnnpan_runtime.uplink.splice import make_splice, spliced
from bnnpan_runtime.uplink.tensors import make_tensor_patch, patched_tensors
from bnnpan_runtime.uplink.varint import Reader, put

DIGESTS = ("0" * 64, "1" * 64, "2" * 64)
Files = dict[str, bytes]


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_numbers_are_read_as_they_were_written(numbers: list[int]):
    reader = Reader(b"".join(map(put, numbers)))
    assert [reader.number(2**64) for _ in numbers] == numbers
    reader.finish()


@st.composite
def contents(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """An old content, a reference, and a new content made of pieces of both and of anything else."""
    old, reference = draw(st.binary(max_size=200)), draw(st.binary(max_size=200))
    source, parts = old + reference, []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(source)))
        parts.append(draw(st.one_of(st.binary(max_size=20), st.just(source[start : start + 80]))))
    return (
        old,
        reference,
        draw(st.sampled_from([b"".join(parts), old, reference, b"".join(parts)[: len(old)]])),
    )


@given(contents())
def test_a_splice_makes_the_new_content(case: tuple[bytes, bytes, bytes]):
    old, reference, new = case
    assert spliced(old, reference, len(new), make_splice(old, reference, new)) == new


def test_a_splice_of_what_is_known_is_a_few_bytes():
    old, reference = (np.random.default_rng(seed).bytes(5000) for seed in range(2))
    assert len(make_splice(old, reference, old)) < 10
    assert len(make_splice(b"", reference, b"head" + reference[100:4000] + b"tail")) < 40


@given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 100), st.binary(max_size=60))
def test_other_steps_make_something_of_that_size_or_nothing(
    old: bytes, reference: bytes, size: int, steps: bytes
):
    try:
        assert len(spliced(old, reference, size, steps)) == size
    except ValueError:
        pass


def tensor_file(floats: np.ndarray, shorts: np.ndarray, bits: np.ndarray) -> bytes:
    return save({"floats": floats.astype(np.float32), "shorts": shorts.astype(np.uint16), "trunk.bits": bits})


@st.composite
def tensor_files(draw: st.DrawFn) -> tuple[bytes, bytes]:
    rng, size = np.random.default_rng(draw(st.integers(0, 99))), draw(st.integers(0, 40))
    floats, shorts = rng.normal(size=size), rng.integers(0, 65536, size)
    bits = rng.integers(0, 256, (size, 4), dtype=np.uint8)
    special = [np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-45, -1e-45, 3.4e38]
    change = draw(st.sampled_from(["nothing", "little", "all", "special"]))
    new_floats, new_shorts, new_bits = floats.copy(), shorts.copy(), bits.copy()
    if change == "little":
        new_floats, new_shorts = floats * (1 + 1e-4 * rng.normal(size=size)), (shorts + 1) % 65536
        new_bits.flat[: bits.size // 20] ^= 1
    elif change == "all":
        new_floats, new_shorts, new_bits = -rng.normal(size=size), shorts[::-1], ~bits
    elif change == "special":
        new_floats = np.resize(special, size)
    return tensor_file(floats, shorts, bits), tensor_file(new_floats, new_shorts, new_bits)


@given(tensor_files())
def test_a_tensor_patch_makes_the_new_file_to_the_bit(case: tuple[bytes, bytes]):
    old, new = case
    steps = make_tensor_patch(old, new)
    assert steps is not None and patched_tensors(old, steps) == new


def test_a_file_of_other_tensors_is_not_patched_as_tensors():
    old = save({"a": np.zeros(3, np.float32)})
    for other in (
        save({"b": np.zeros(3, np.float32)}),
        save({"a": np.zeros(4, np.float32)}),
        b"",
        b"x" * len(old),
    ):
        assert make_tensor_patch(old, other) is None and make_tensor_patch(other, old) is None
    wide = save({"a": np.zeros(3)})
    assert make_tensor_patch(wide, wide) is None, "bundles hold no 64-bit floats"


@given(tensor_files(), st.binary(max_size=80))
def test_other_steps_make_another_file_of_that_size_or_nothing(case: tuple[bytes, bytes], steps: bytes):
    try:
        assert len(patched_tensors(case[0], steps)) == len(case[0])
    except ValueError:
        pass


@given(
    st.dictionaries(st.sampled_from(["a", "b", WEIGHTS_NAME, MANIFEST_NAME]), st.binary(max_size=100)),
    st.dictionaries(st.sampled_from(["a", "c", WEIGHTS_NAME, MANIFEST_NAME]), st.binary(max_size=100)),
)
def test_a_patch_makes_the_new_entries(old: Files, new: Files):
    patch = make_patch(old, new, DIGESTS)
    assert patched(old, patch) == new
    header = read_header(patch)
    assert (header.old_manifest, header.new_manifest, header.new_container) == DIGESTS


def test_no_damage_to_a_patch_goes_unseen(bundle: Bundle):
    old = entries_of(bundle)
    new = {**old, "MODEL_CARD.md": old["MODEL_CARD.md"] + b"Better than before.\n"}
    patch = make_patch(old, new, DIGESTS)
    assert len(patch) < 300
    start = patches._HEADER.size
    for position in range(start, len(patch)):
        flipped = bytearray(patch)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(ValueError, match="checksum"):
            patched(old, bytes(flipped))
    for length in range(len(patch)):
        with pytest.raises(ValueError):
            patched(old, patch[:length])
    with pytest.raises(ValueError):
        patched(old, patch + b"x")


def forged(body: bytes, declared: int | None = None) -> bytes:
    """A patch with a right checksum around any body."""
    packed = patches._compressed(body)
    digests = [bytes.fromhex(digest) for digest in DIGESTS]
    size = len(body) if declared is None else declared
    return patches._HEADER.pack(b"bnnpatc1", *digests, size, zlib.crc32(packed)) + packed


@given(st.binary(max_size=100))
def test_any_body_makes_entries_or_a_clear_error(body: bytes):
    try:
        patched({"a": b"abc", WEIGHTS_NAME: b"old"}, forged(body))
    except ValueError:
        pass


def test_a_patch_that_would_unpack_to_too_much_allocates_little():
    bombs = [
        forged(bytes(40 * 2**20), declared=100),
        forged(bytes(100), declared=2**27),
        # one entry of 60 MiB from a piece that is not there
        forged(
            put(1) + put(1) + b"a" + put(0) + put(60 * 2**20) + put(9) + put(0) + put(60 * 2**20) + b"\0\0\0"
        ),
        forged(put(33) + bytes(200)),
        struct.pack("<8s96sLL", b"bnnpatc1", bytes(96), 64 * 2**20, 0),
    ]
    for bomb in bombs:
        tracemalloc.start()
        try:
            with pytest.raises(ValueError):
                patched({}, bomb)
            assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        finally:
            tracemalloc.stop()


def with_weights(files: Files, weights: bytes) -> Files:
    """A bundle's entries with other weights, in its graphs, too, where they lie there byte by byte."""
    new = {**files, WEIGHTS_NAME: weights}
    bits = slice(-18432, None)  # trunk.bits, the last tensor
    for name in ("fuse.onnx", "fuse.tflite"):
        for start in range(0, 18432, 1152):
            old_bits = files[WEIGHTS_NAME][bits][start : start + 1152]
            assert old_bits in new[name]
            new[name] = new[name].replace(old_bits, weights[bits][start : start + 1152])
    manifest = json.loads(files[MANIFEST_NAME])
    for name in manifest["files"]:
        manifest["files"][name]["sha256"] = hashlib.sha256(new[name]).hexdigest()
    new[MANIFEST_NAME] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return new


def test_a_patch_of_flipped_weights_is_about_as_large_as_their_places(bundle: Bundle):
    """1475 of 147 456 signs: their entropy is 1.5 kB; three forms of the network hold them."""
    old = entries_of(bundle)
    chosen = np.random.default_rng(0).permutation(147456) < 1475
    weights = bytearray(old[WEIGHTS_NAME])
    changed = np.frombuffer(bytes(weights[-18432:]), np.uint8) ^ np.packbits(chosen)
    weights[-18432:] = changed.tobytes()
    new = with_weights(old, bytes(weights))
    patch = make_patch(old, new, DIGESTS)
    assert patched(old, patch) == new
    assert len(patch) < 2500


# Packets


@given(st.binary(min_size=1, max_size=3000), st.integers(128, 600), st.randoms(use_true_random=False))
def test_packets_in_any_order_and_twice_make_the_file(content: bytes, size: int, random: object):
    packets = list(split(content, size))
    assert all(len(packet) <= size for packet in packets)
    arrived = packets * 2
    random.shuffle(arrived)  # type: ignore[attr-defined]
    assembly = Assembly()
    for packet in arrived:
        assembly.add(packet)
    progress = assembly.progress()
    assert assembly.content() == content
    assert progress is not None and progress.complete and progress.duplicates == len(packets)


@given(
    st.binary(min_size=500, max_size=3000),
    st.sets(st.integers(0, 8)),
    st.dictionaries(st.integers(0, 8), st.integers(0, 127 * 8)),
)
def test_lost_and_damaged_packets_are_asked_for_and_no_others(
    content: bytes, lost: set[int], damaged: dict[int, int]
):
    packets = list(split(content, 128))
    assembly = Assembly()
    for index, packet in enumerate(packets):
        raw = bytearray(packet)
        if index in damaged:
            position = damaged[index] % (8 * len(raw))
            raw[position // 8] ^= 1 << position % 8
        if index not in lost:
            assembly.add(bytes(raw))
    progress = assembly.progress()
    missing = sorted(index for index in lost | set(damaged) if index < len(packets))
    if len(missing) == len(packets):
        assert progress is None
        return
    assert progress is not None and progress.resend == missing
    assert progress.damaged == len([i for i in damaged if i not in lost and i < len(packets)])
    assert (assembly.content() == content) is (not missing)
    for index in progress.resend:
        assembly.add(packets[index])
    assert assembly.content() == content


def test_packets_of_another_file_do_not_get_in_the_way():
    content = np.random.default_rng(0).bytes(2000)
    other = list(split(b"another file" * 30, 128))
    assembly = Assembly()
    for packet in [*other[:2], *split(content, 200), *list(split(content, 300))[:3]]:
        assembly.add(packet)
    progress = assembly.progress()
    assert assembly.content() == content and progress is not None and progress.foreign == 5


def test_whole_packets_that_do_not_belong_together_are_all_asked_for():
    content = np.random.default_rng(0).bytes(500)
    packets = list(split(content, 256))
    body = bytearray(packets[0][:-4])
    body[-1] ^= 1
    forged_packet = bytes(body) + struct.pack("<L", zlib.crc32(bytes(body)))
    assembly = Assembly()
    for packet in (forged_packet, *packets[1:]):
        assembly.add(packet)
    progress = assembly.progress()
    assert assembly.content() is None and progress is not None and progress.resend == [0, 1, 2]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_none(raw: bytes):
    assert read_packet(raw) is None
    packet = b"bnp1" + raw
    read_packet(packet + struct.pack("<L", zlib.crc32(packet)))


def test_a_packet_of_impossible_sizes_is_none():
    header = struct.Struct("<4s16sLHL")
    for size, payload_bytes, index, length in [
        (2**27, 994, 0, 994),
        (0, 994, 0, 0),
        (500, 0, 0, 0),
        (500, 10, 0, 10),
        (500, 994, 1, 1),
        (500, 994, 2**32 - 1, 0),
        (500, 994, 0, 499),
    ]:
        body = header.pack(b"bnp1", bytes(16), size, payload_bytes, index) + bytes(length)
        assert read_packet(body + struct.pack("<L", zlib.crc32(body))) is None


def test_more_packets_than_any_file_has_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bnnpan_runtime.uplink.packets._MOST_BYTES", 1000)
    assembly = Assembly()
    with pytest.raises(ValueError, match="in all"):
        for packet in split(bytes(5000), 128):
            assembly.add(packet)


@pytest.mark.parametrize(("content", "size"), [(b"x", 127), (b"x", 65536), (b"", 1024)])
def test_sizes_that_cannot_be_split_are_refused(content: bytes, size: int):
    with pytest.raises(ValueError):
        list(split(content, size))
