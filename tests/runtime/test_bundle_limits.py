"""What is too large is refused before it is read: a hostile bundle costs a board no memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from handmade_bundles import bundle_with, files_of_a_bundle, manifest_of, refusal, with_sizes, write_entries

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    MANIFEST_NAME,
    WEIGHTS_NAME,
)
from bnnpan_runtime.errors import BundleError


def test_entries_that_unpack_to_too_much_are_refused_unread(tmp_path: Path) -> None:
    bomb = write_entries(tmp_path / "bomb", [(MANIFEST_NAME, bytes(64 * 2**20 + 1))], zipfile.ZIP_DEFLATED)
    assert "unpack to more than" in refusal(bomb)
    parts = [(f"part{i}", bytes(8 * 2**20)) for i in range(9)]
    assert "unpack to more than" in refusal(write_entries(tmp_path / "parts", parts, zipfile.ZIP_DEFLATED))


def test_no_more_than_the_declared_size_is_unpacked(tmp_path: Path) -> None:
    bomb = write_entries(tmp_path / "bomb", [(MANIFEST_NAME, bytes(60 * 2**20))], zipfile.ZIP_DEFLATED)
    with_sizes(bomb, lambda size: 1000)
    tracemalloc.start()
    try:
        assert "damaged" in refusal(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "b"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert "at most" in refusal(path)


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    path = bundle_with(tmp_path / "b", files, provenance={"notes": "x" * 2**20})
    assert MANIFEST_NAME in refusal(path)


def bombs(folder: Path) -> Iterator[tuple[Path, Callable[[Bundle], object]]]:
    """Bundles that would take tens of MiB from a reader that believed them."""
    files = files_of_a_bundle()
    packed = zipfile.ZIP_DEFLATED
    yield (
        with_sizes(
            write_entries(folder / "1", [(MANIFEST_NAME, bytes(60 * 2**20))], packed), lambda size: 99
        ),
        Bundle.open,
    )
    yield write_entries(folder / "2", [(MANIFEST_NAME, bytes(60 * 2**20))], packed), Bundle.open
    yield write_entries(folder / "3", [(f"part{i}", bytes(2**20)) for i in range(65)], packed), Bundle.open
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
