"""Everything the runtime reads that others may have written or a fault may have bent, as targets of a fuzzer.

A target gets bytes, which its reader may take, or turn down with the error that it documents; nothing else.
Bytes that a reader would turn down for a checksum alone are sealed first: a hostile sender can do that, too.
"""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
import zipfile
import zlib
from binascii import crc_hqx
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from signing_keys import Key, entries_of

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_directory, read_entry
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME
from bnnpan_runtime.errors import BundleError, SceneError
from bnnpan_runtime.manifest import parse_manifest
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid
from bnnpan_runtime.product.journal import HEADER_BYTES, RECORD_BYTES, Header, Identity, Journal, Record
from bnnpan_runtime.product.recovery import Unfit, recover
from bnnpan_runtime.radiometry import read_radiometry
from bnnpan_runtime.telemetry.emit import Happening
from bnnpan_runtime.telemetry.space_packets import SpacePackets, read_packets
from bnnpan_runtime.telemetry.table import EVENTS
from bnnpan_runtime.trust.ring import parse_ring
from bnnpan_runtime.trust.signatures import parse_signatures
from bnnpan_runtime.uplink.packets import Assembly, split
from bnnpan_runtime.uplink.patch import _compressed, make_patch, patched

__all__ = ["TARGETS", "Target"]

SHIPPED = "bgrn-x4"


@dataclass(frozen=True)
class Target:
    """A reader, which gets a folder of its own and says whether it took the input, and inputs it takes."""

    run: Callable[[bytes, Path], bool]
    seeds: Callable[[], list[bytes]]
    longest_bytes: int = 4096


@cache
def shipped() -> dict[str, bytes]:
    return entries_of(Bundle.open(SHIPPED))


def _taken(read: Callable[[], object], error: type[Exception]) -> bool:
    """Whether it ends without the one error that it may raise."""
    try:
        read()
    except error:
        return False
    return True


def _container(data: bytes, folder: Path) -> bool:
    """The zip of a bundle, of these very bytes."""
    path = folder / "input.bnnpan"
    path.write_bytes(data)

    def read() -> None:
        for entry in read_directory(path).values():
            read_entry(path, entry)

    return _taken(read, BundleError)


def _entry(data: bytes, folder: Path) -> bool:
    """The shipped bundle with one entry replaced, hashes and checksums right: the first byte chooses it."""
    names = (MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME, GOLDEN_NAME)
    files, path = dict(shipped()), folder / "input.bnnpan"
    name = names[data[0] % len(names)] if data else MANIFEST_NAME
    files[name] = data[1:]
    if name in (WEIGHTS_NAME, GOLDEN_NAME):
        manifest = json.loads(files[MANIFEST_NAME])
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(files[name])}
        files[MANIFEST_NAME] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:  # stored, as deflating takes most of the time
        for name in (MANIFEST_NAME, *sorted(files.keys() - {MANIFEST_NAME})):
            archive.writestr(zipfile.ZipInfo(name), files[name])

    def read() -> None:
        bundle = Bundle.open(path)
        bundle.signatures()
        bundle.weights()
        bundle.golden()

    return _taken(read, BundleError)


def _manifest(data: bytes, folder: Path) -> bool:
    return _taken(lambda: parse_manifest(data), ValueError)


def _signatures(data: bytes, folder: Path) -> bool:
    return _taken(lambda: parse_signatures(data), ValueError)


def _ring(data: bytes, folder: Path) -> bool:
    return _taken(lambda: parse_ring(data), ValueError)


_PATCH_HEADER = struct.Struct("<8s32s32s32sLL")
_OLD = {WEIGHTS_NAME: bytes(range(256))}


def _patch(data: bytes, folder: Path) -> bool:
    """A patch of these bytes, and one that unpacks to them."""
    packed = _compressed(data)
    sealed = _PATCH_HEADER.pack(b"bnnpatc1", b"o" * 32, b"n" * 32, b"c" * 32, len(data), zlib.crc32(packed))
    return any([_taken(partial(patched, _OLD, patch), ValueError) for patch in (data, sealed + packed)])


def _packets(data: bytes, folder: Path) -> bool:
    """Packets in a row, each as long as its first two bytes say; sealed where the length is odd."""
    assembly = Assembly()
    while data:
        length = int.from_bytes(data[:2], "little")
        packet, data = data[2 : 2 + length], data[2 + length :]
        assembly.add(packet + struct.pack("<L", zlib.crc32(packet)) if length % 2 else packet)
    assembly.progress()
    return assembly.content() is not None


def _telemetry(data: bytes, folder: Path) -> bool:
    """A log as it is, and as one packet whose length and checksum are right."""
    sealed = data[:4] + struct.pack(">H", max(len(data[6:]) + 1, 0)) + data[6:]
    logs = (data, sealed + struct.pack(">H", crc_hqx(sealed, 0xFFFF)))
    return any([list(read_packets(log, damaged=lambda error: None)) for log in logs])


def _radiometry(data: bytes, folder: Path) -> bool:
    path = folder / "radiometry.toml"
    path.write_bytes(data)
    return _taken(lambda: read_radiometry(path, 8, 2, 1), SceneError)


_GRID = BlockGrid(8, 16, 4, 2, "uint16")
_IDENTITY = Identity(b"s" * 32, b"i" * 32, b"c" * 32)
_FRAME = b"frame"


def _journal(data: bytes, folder: Path) -> bool:
    """A journal of these bytes, and one whose checksums are right; no block is kept that was lost."""
    path, journal_path = folder / "product.tif", folder / "journal"
    blocks = _blocks()
    path.write_bytes(_FRAME + b"".join(blocks[:-1]) + bytes(_GRID.block_bytes))  # the last one was lost
    kept: list[int] = []
    for content in (data, _with_checksums(data)):
        journal_path.write_bytes(content)
        with journal_path.open("r+b", buffering=0) as file, suppress(Unfit):
            recovered = recover(path, Journal(file), _IDENTITY, _GRID)
            recovered.file.close()
            assert not recovered.blocks[-1]
            kept += [sum(recovered.blocks)]
    return bool(kept)


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "product.tif"
        path.write_bytes(_FRAME + b"".join(_blocks()))
        file = BlockFile(path, _GRID, len(_FRAME))
        header = Header.of(_IDENTITY, file)
        records = [Record(block, file.digest(block)).encode(header.seed) for block in range(_GRID.count)]
        file.close()
    return [header.encode(), header.encode() + b"".join(records)]


def _entry_seeds() -> list[bytes]:
    files = shipped()
    names = (MANIFEST_NAME, SIGNATURES_NAME, WEIGHTS_NAME, GOLDEN_NAME)
    return [bytes([index]) + files.get(name, _signature()) for index, name in enumerate(names)]


def _signature() -> bytes:
    from bnnpan_runtime.trust.signatures import format_signatures

    return format_signatures([Key.number(1).signature(shipped()[MANIFEST_NAME])])


def _patch_seeds() -> list[bytes]:
    new = {WEIGHTS_NAME: bytes(range(128)) + b"other" + bytes(range(128, 256)), MANIFEST_NAME: b"{}"}
    return [make_patch(_OLD, new, ("00" * 32, "11" * 32, "22" * 32))]


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
