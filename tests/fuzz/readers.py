"""Everything the runtime reads that others may have written or a fault may have bent, as targets of a fuzzer.

A target takes bytes and may end in one way only: quietly, or with the error its reader documents. Bytes that
a reader would turn down for a checksum alone are sealed first: a hostile sender can do that, too.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from binascii import crc_hqx
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from signing_keys import Key, entries_of

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME
from bnnpan_runtime.errors import BundleError, SceneError
from bnnpan_runtime.manifest import parse_manifest
from bnnpan_runtime.product.block_file import BlockGrid
from bnnpan_runtime.product.journal import HEADER_BYTES, RECORD_BYTES, Header, Identity, Journal, Record
from bnnpan_runtime.product.recovery import Unfit, recover
from bnnpan_runtime.radiometry import read_radiometry
from bnnpan_runtime.telemetry.emit import Happening
from bnnpan_runtime.telemetry.space_packets import SpacePackets, read_packets
from bnnpan_runtime.telemetry.table import EVENTS
from bnnpan_runtime.trust.ring import parse_ring
from bnnpan_runtime.trust.signatures import parse_signatures
from bnnpan_runtime.uplink.packets import Assembly, split
from bnnpan_runtime.uplink.patch import make_patch, patched

__all__ = ["TARGETS", "Target"]

SHIPPED = "bgrn-x4"
MOST_ENTRY_BYTES = 2048
"""Of each entry of the bundle that is patched; inputs have no more than twice that."""


@dataclass(frozen=True)
class Target:
    """A reader, which gets a folder of its own for files, and inputs it takes."""

    run: Callable[[bytes, Path], None]
    seeds: Callable[[], list[bytes]]
    longest_bytes: int = 4096


@cache
def shipped() -> dict[str, bytes]:
    return entries_of(Bundle.open(SHIPPED))


def _container(data: bytes, folder: Path) -> None:
    """A bundle as a file of these very bytes."""
    path = folder / "input.bnnpan"
    path.write_bytes(data)
    _read(path)


def _entry(data: bytes, folder: Path) -> None:
    """The shipped bundle with one entry replaced, hashes and checksums right: the first byte chooses it."""
    names = (MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME, GOLDEN_NAME)
    files = dict(shipped())
    name = names[data[0] % len(names)] if data else MANIFEST_NAME
    files[name] = data[1:]
    if name in (WEIGHTS_NAME, GOLDEN_NAME):
        manifest = json.loads(files[MANIFEST_NAME])
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(files[name])}
        files[MANIFEST_NAME] = json.dumps(manifest).encode()
    with zipfile.ZipFile(
        folder / "input.bnnpan", "w"
    ) as archive:  # not deflated, which takes most of the time
        for name in (MANIFEST_NAME, *sorted(files.keys() - {MANIFEST_NAME})):
            archive.writestr(zipfile.ZipInfo(name), files[name])
    _read(folder / "input.bnnpan")


def _read(path: Path) -> None:
    with suppress(BundleError):
        bundle = Bundle.open(path)
        bundle.signatures()
        bundle.weights()
        bundle.golden()


def _manifest(data: bytes, folder: Path) -> None:
    with suppress(ValueError):
        parse_manifest(data)


def _signatures(data: bytes, folder: Path) -> None:
    with suppress(ValueError):
        parse_signatures(data)


def _ring(data: bytes, folder: Path) -> None:
    with suppress(ValueError):
        parse_ring(data)


_PATCH_HEADER = struct.Struct("<8s32s32s32sLL")


def _patch(data: bytes, folder: Path) -> None:
    """A patch of these bytes, and one that unpacks to them."""
    from bnnpan_runtime.uplink.patch import _compressed

    old = {name: content[:MOST_ENTRY_BYTES] for name, content in shipped().items()}
    packed = _compressed(data)
    sealed = _PATCH_HEADER.pack(b"bnnpatc1", b"o" * 32, b"n" * 32, b"c" * 32, len(data), zlib.crc32(packed))
    for patch in (data, sealed + packed):
        with suppress(ValueError):
            patched(old, patch)


def _packets(data: bytes, folder: Path) -> None:
    """Packets in a row, each as long as its first two bytes say; sealed where the length is odd."""
    assembly = Assembly()
    while data:
        length = int.from_bytes(data[:2], "little")
        packet, data = data[2 : 2 + length], data[2 + length :]
        assembly.add(packet + struct.pack("<L", zlib.crc32(packet)) if length % 2 else packet)
    assembly.progress()
    assembly.content()


def _telemetry(data: bytes, folder: Path) -> None:
    """A log as it is, and as one packet whose length and checksum are right."""
    sealed = data[:4] + struct.pack(">H", max(len(data[6:]) + 1, 0)) + data[6:]
    for log in (data, sealed + struct.pack(">H", crc_hqx(sealed, 0xFFFF))):
        for _ in read_packets(log, damaged=lambda error: None):
            pass


def _radiometry(data: bytes, folder: Path) -> None:
    path = folder / "radiometry.toml"
    path.write_bytes(data)
    with suppress(SceneError):
        read_radiometry(path, 8, 2, 1)


_GRID = BlockGrid(8, 16, 4, 2, "uint16")
_IDENTITY = Identity(b"s" * 32, b"i" * 32, b"c" * 32)
_FRAME = b"frame"


def _journal(data: bytes, folder: Path) -> None:
    """A journal of these bytes, and one whose checksums are right; no block is kept that was lost."""
    path, journal_path = folder / "product.tif", folder / "journal"
    blocks = _blocks()
    path.write_bytes(_FRAME + b"".join(blocks[:-1]) + bytes(_GRID.block_bytes))  # the last one was lost
    for content in (data, _with_checksums(data)):
        journal_path.write_bytes(content)
        with journal_path.open("r+b", buffering=0) as file, suppress(Unfit):
            recovered = recover(path, Journal(file), _IDENTITY, _GRID)
            recovered.file.close()
            assert not recovered.blocks[-1]


def _blocks() -> list[bytes]:
    pixels = np.random.default_rng(1).integers(1, 2048, (_GRID.count, _GRID.block_bytes // 2), np.uint16)
    return [block.tobytes() for block in pixels]


def _with_checksums(data: bytes) -> bytes:
    header = data[: HEADER_BYTES - 4].ljust(HEADER_BYTES - 4, b"\0")
    seed, records = zlib.crc32(header), b""
    for start in range(HEADER_BYTES, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        record = data[start : start + RECORD_BYTES - 4]
        records += record + struct.pack("<I", zlib.crc32(record, seed))
    return header + struct.pack("<I", seed) + records


def _journal_seeds() -> list[bytes]:
    blocks = _blocks()
    digests = [hashlib.blake2b(block, digest_size=16).digest() for block in blocks]
    frame = hashlib.sha256(_FRAME).digest()
    size = len(_FRAME) + _GRID.all_bytes
    header = Header(_IDENTITY, frame, len(_FRAME), size, _GRID.count, _GRID.block_bytes)
    records = [Record(block, digest).encode(header.seed) for block, digest in enumerate(digests)]
    return [header.encode(), header.encode() + b"".join(records)]


def _entry_seeds() -> list[bytes]:
    files = shipped()
    names = (MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME, GOLDEN_NAME)
    return [bytes([index]) + files.get(name, _signature()) for index, name in enumerate(names)]


def _signature() -> bytes:
    from bnnpan_runtime.trust.signatures import format_signatures

    return format_signatures([Key.number(1).signature(shipped()[MANIFEST_NAME])])


def _patch_seeds() -> list[bytes]:
    old = {WEIGHTS_NAME: bytes(range(256))}
    new = {WEIGHTS_NAME: bytes(range(128)) + b"other" + bytes(range(128, 256)), MANIFEST_NAME: b"{}"}
    return [make_patch(old, new, ("00" * 32, "11" * 32, "22" * 32))]


def _packet_seeds() -> list[bytes]:
    packets = list(split(bytes(range(256)), 128))
    return [b"".join(struct.pack("<H", len(packet)) + packet for packet in packets)]


def _telemetry_seeds() -> list[bytes]:
    log: list[bytes] = []
    write = SpacePackets(log.append)
    for event in EVENTS:
        write(Happening(10**18, event, {a.name: "x" if a.kind == "text" else 1 for a in event.arguments}))
    return log


_LINES = (
    b"format = 1\n[pan]\ndark = 3\ngain = 1.5\ndead = [2]\n[[ms]]\ndark = [1, 2]\ngain = 1\nsaturation = 99\n"
)

TARGETS = {
    "container": Target(_container, lambda: [pack_entries({MANIFEST_NAME: b"{}", "golden": b"1" * 50})]),
    "entry": Target(_entry, _entry_seeds, 2**17),
    "journal": Target(_journal, _journal_seeds),
    "manifest": Target(_manifest, lambda: [shipped()[MANIFEST_NAME]]),
    "packets": Target(_packets, _packet_seeds),
    "patch": Target(_patch, _patch_seeds),
    "radiometry": Target(_radiometry, lambda: [_LINES]),
    "ring": Target(_ring, lambda: [Key.number(1).on_ring().encode()]),
    "signatures": Target(_signatures, lambda: [_signature()]),
    "telemetry": Target(_telemetry, _telemetry_seeds),
}
