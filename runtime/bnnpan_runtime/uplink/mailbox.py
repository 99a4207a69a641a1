"""Packets as files of a folder: where a radio puts them, and where it takes them from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bnnpan_runtime.container import MAX_FILE_BYTES
from bnnpan_runtime.durable_file import write_file
from bnnpan_runtime.errors import BundleError, IncompleteError, OutputError
from bnnpan_runtime.uplink.packets import LARGEST_PACKET, Assembly, Progress, split

__all__ = ["join_packets", "ranges", "split_file"]

_SUFFIX = ".packet"
_LISTED = 20


def split_file(path: Path, packet_bytes: int, folder: Path) -> list[Path]:
    """Write the packets of a file into a folder, which is made. Raises BundleError or OutputError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        packets = list(split(content, packet_bytes))
    except OSError as error:
        raise BundleError(f"{path}: cannot read: {error.strerror or error}") from error
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from error
    paths = [folder / f"{path.name}.{index:06d}{_SUFFIX}" for index in range(len(packets))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, packet in zip(paths, packets, strict=True):
            target.write_bytes(packet)
    except OSError as error:
        raise OutputError(f"cannot write packets to {folder}: {error.strerror or error}") from error
    return paths


def join_packets(folder: Path, out: Path) -> Progress:
    """Put the file of the packets in a folder together, whatever the files there are called.

    Nothing is written while packets are missing; the progress says which. Raises BundleError if the folder
    cannot be read or holds no packet, OutputError if `out` cannot be written.
    """
    assembly = Assembly()
    try:
        for raw in _files_of(folder):
            assembly.add(raw)
    except OSError as error:
        raise BundleError(f"{folder}: cannot read packets: {error.strerror or error}") from error
    except ValueError as error:
        raise BundleError(f"{folder}: {error}") from error
    progress = assembly.progress()
    if progress is None:
        raise IncompleteError(f"{folder}: no whole packet has come; send all")
    content = assembly.content()
    if progress.complete and content is not None:
        write_file(out, content)
    return progress


def ranges(numbers: list[int]) -> str:
    """Numbers in order as text, runs of them in short: 3, 7-9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    texts = ["-".join(map(str, run)) for run in runs]
    more = f" and {len(texts) - _LISTED} more; --json lists all" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


def _files_of(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with path.open("rb") as file:
                yield file.read(LARGEST_PACKET + 1)
