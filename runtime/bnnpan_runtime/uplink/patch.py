"""A patch: what makes the entries of one bundle out of another's.

    magic, SHA-256 of the old manifest, of the new manifest and of the new container, size of the body,
    CRC-32 of the packed body; then the body, packed by LZMA2 without a header of its own

The body holds every new entry: name, way, size, and the bytes of that way. A patch vouches for nothing:
whoever applies it checks the hash of the manifest it makes, and every hash in that manifest.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from bnnpan_runtime.container import MAX_ENTRIES, MAX_FILE_BYTES
from bnnpan_runtime.contract import SIGNATURES_NAME, WEIGHTS_NAME
from bnnpan_runtime.uplink.splice import make_splice, spliced
from bnnpan_runtime.uplink.tensors import make_tensor_patch, patched_tensors
from bnnpan_runtime.uplink.varint import Reader, put

__all__ = ["PatchHeader", "make_patch", "patched", "read_header"]

_MAGIC = b"bnnpatc1"
_HEADER = struct.Struct("<8s32s32s32sLL")
_SPLICE, _TENSORS = range(2)
_LONGEST_NAME = 255
_DICTIONARY_BYTES = 2**20  # what a reader holds to unpack; four times a bundle


@dataclass(frozen=True)
class PatchHeader:
    """Which bundle a patch is for, and which it makes; digests as lower-case hex."""

    old_manifest: str
    new_manifest: str
    new_container: str
    body_bytes: int
    packed_crc32: int


def make_patch(old: Mapping[str, bytes], new: Mapping[str, bytes], digests: tuple[str, str, str]) -> bytes:
    """The patch between the entries of two bundles.

    digests  SHA-256 of the old manifest, of the new one, and of the new container
    """
    reference = b""
    body = [put(len(new))]
    for name in _ordered(new):
        body.append(_made(name, _known(old, name), reference, new[name]))
        if name == WEIGHTS_NAME:
            reference = new[name]
    content = b"".join(body)
    packed = _compressed(content)
    raw = [bytes.fromhex(digest) for digest in digests]
    return _HEADER.pack(_MAGIC, *raw, len(content), zlib.crc32(packed)) + packed


def read_header(patch: bytes) -> PatchHeader:
    """What a patch is for. Raises ValueError if it is none."""
    if len(patch) < _HEADER.size or not patch.startswith(_MAGIC):
        raise ValueError("not a patch of this version")
    _, old, new, container, size, crc32 = _HEADER.unpack_from(patch)
    if size > MAX_FILE_BYTES or len(patch) > MAX_FILE_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_FILE_BYTES} bytes")
    return PatchHeader(old.hex(), new.hex(), container.hex(), size, crc32)


def patched(old: Mapping[str, bytes], patch: bytes) -> dict[str, bytes]:
    """Entries of the new bundle, not verified. Raises ValueError if the patch is damaged or not for `old`."""
    header = read_header(patch)
    packed = memoryview(patch)[_HEADER.size :]
    if zlib.crc32(packed) != header.packed_crc32:
        raise ValueError("its checksum differs")
    reader = Reader(_decompressed(packed, header.body_bytes))
    reference = b""
    left = MAX_FILE_BYTES
    new: dict[str, bytes] = {}
    for _ in range(reader.number(MAX_ENTRIES)):
        name = reader.take(reader.number(_LONGEST_NAME)).decode("ascii")
        if name in new:
            raise ValueError(f"{name} is in it twice")
        new[name] = _applied(reader, _known(old, name), reference, left)
        left -= len(new[name])
        if name == WEIGHTS_NAME:
            reference = new[name]
    reader.finish()
    return new


def _known(old: Mapping[str, bytes], name: str) -> bytes:
    """What the manifest vouches for: the same bundle may be signed by others where the patch arrives."""
    return b"" if name == SIGNATURES_NAME else old.get(name, b"")


def _ordered(names: Mapping[str, bytes]) -> list[str]:
    """Weights first: the graphs are made of them."""
    return sorted(names, key=lambda name: (name != WEIGHTS_NAME, name))


def _made(name: str, old: bytes, reference: bytes, new: bytes) -> bytes:
    ways = {_SPLICE: make_splice(old, reference, new)}
    if name.endswith(".safetensors") and (steps := make_tensor_patch(old, new)) is not None:
        ways[_TENSORS] = steps
    way = min(ways, key=lambda way: len(_compressed(ways[way])))
    steps = ways[way]
    return put(len(name)) + name.encode("ascii") + put(way) + put(len(new)) + put(len(steps)) + steps


def _applied(reader: Reader, old: bytes, reference: bytes, left: int) -> bytes:
    way, size = reader.number(_TENSORS), reader.number(left)
    steps = reader.take(reader.number(MAX_FILE_BYTES))
    if way == _SPLICE:
        return spliced(old, reference, size, steps)
    if size != len(old):
        raise ValueError("the old file has another size")
    return patched_tensors(old, steps)


def _filters() -> list[dict[str, int]]:
    import lzma  # some small systems build Python without it, and need it for patches only

    return [
        {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": _DICTIONARY_BYTES, "pb": 0}
    ]


def _compressed(content: bytes) -> bytes:
    import lzma

    return lzma.compress(content, lzma.FORMAT_RAW, filters=_filters())


def _decompressed(packed: memoryview, size: int) -> bytes:
    """Exactly `size` bytes, never more."""
    import lzma

    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters())
    try:
        content = unpacker.decompress(packed, size + 1)
    except lzma.LZMAError as error:
        raise ValueError("its body is damaged") from error
    if len(content) != size or not unpacker.eof or unpacker.unused_data:
        raise ValueError("its body has another size")
    return content
