"""Board profiles: what a satellite's computer has, and how much of it an application gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.memory import MIB

from .toml_file import Table

FOLDERS_VARIABLE = "BNNPAN_BOARDS"
"""Folders with boards of one's own, separated like PATH; `--boards` of the command line adds one."""


@dataclass(frozen=True)
class Processor:
    """A core as `/proc/cpuinfo` names it (fields of the Main ID Register), and its caches in KiB."""

    implementer: int
    part: int
    variant: int
    revision: int
    l1_instruction_kib: int
    l1_data_kib: int
    l2_kib: int
    l3_kib: int | None = None


@dataclass(frozen=True)
class Board:
    """One computer; what is None is not known.

    features                    instruction-set extensions by their names in `/proc/cpuinfo`
    ram_mib, os_share_mib       memory fitted, and what GPU, kernel and system services keep of it, MiB
    memory_mb_per_second        theoretical peak of the memory bus, 10^6 bytes/s
    storage_read_mb_per_second  sequential, 10^6 bytes/s; `storage_write_mb_per_second` likewise
    storage_free_mib            room for scenes and products, MiB
    idle_watts, busy_watts      power of the board without peripherals
    throttle_celsius            temperature at which the clock is lowered
    glibc                       version of the C library of its usual system
    qemu_cpu                    what stands for its core in emulation
    cost_model                  core whose cycle estimates stand for its own
    sources                     field name -> where its figure comes from
    """

    name: str
    title: str
    cpu: str
    cores: int
    features: tuple[str, ...]
    ram_mib: int
    os_share_mib: int
    storage: str
    clock_mhz: int | None = None
    memory_mb_per_second: int | None = None
    storage_read_mb_per_second: int | None = None
    storage_write_mb_per_second: int | None = None
    storage_free_mib: int | None = None
    idle_watts: float | None = None
    busy_watts: float | None = None
    throttle_celsius: int | None = None
    glibc: str | None = None
    qemu_cpu: str | None = None
    cost_model: str | None = None
    processor: Processor | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def application_bytes(self) -> int:
        """Memory left to one application."""
        return (self.ram_mib - self.os_share_mib) * MIB

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "application_bytes": self.application_bytes}


def board_names(folder: Path | None = None) -> list[str]:
    """Names of all profiles, smallest memory first: of the package, of `$BNNPAN_BOARDS`, of `folder`."""
    files = [path for place in _places(folder) for path in place.glob("*.toml")]
    names = {path.stem for path in files}
    return sorted(names, key=lambda name: (load_board(name, folder).ram_mib, name))


def load_board(name_or_path: str, folder: Path | None = None) -> Board:
    """The profile of that name, or the one in the user's own TOML file (anything with `.toml` or a slash).

    `folder` holds further profiles, which go before those of the package. Raises ConfigError naming the file
    and the key that is wrong.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return read_board(Path(name_or_path), folder)
    for place in _places(folder):
        if (path := place / f"{name_or_path}.toml").is_file():
            return read_board(path, folder)
    raise ConfigError(f"board {name_or_path!r} is unknown; see `bnnpan sim boards`, or give a TOML file")


def read_board(path: Path, folder: Path | None = None) -> Board:
    """The profile in a TOML file; its name is the file's stem. Raises ConfigError.

    With `extends` the file says only what differs from another profile.
    """
    table = Table(_values(path, folder, ()), str(path))
    known = {name: table.take_optional(name, kind) for name, kind in _OPTIONAL.items()}
    processor = table.take_optional_table("processor")
    board = Board(
        name=path.stem,
        title=table.take("title", str),
        cpu=table.take("cpu", str),
        cores=table.take_positive("cores"),
        features=tuple(str(feature) for feature in table.take("features", list)),
        ram_mib=table.take_positive("ram_mib"),
        os_share_mib=table.take_positive("os_share_mib"),
        storage=table.take("storage", str),
        processor=None if processor is None else _processor(processor),
        sources=table.take_optional("sources", dict) or {},
        **known,
    )
    table.finish()
    if board.os_share_mib >= board.ram_mib:
        raise ConfigError(f"{path}: 'os_share_mib' leaves nothing of {board.ram_mib} MiB to an application")
    return board


_OPTIONAL: dict[str, Any] = {
    "clock_mhz": int,
    "memory_mb_per_second": int,
    "storage_read_mb_per_second": int,
    "storage_write_mb_per_second": int,
    "storage_free_mib": int,
    "idle_watts": float,
    "busy_watts": float,
    "throttle_celsius": int,
    "glibc": str,
    "qemu_cpu": str,
    "cost_model": str,
}


def _places(folder: Path | None) -> list[Path]:
    """Folders with profiles, the first of a name counts. The package is never a zip file (see run.py)."""
    own = [Path(place) for place in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if place]
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; --boards names one with TOML files in it")
    return [*([folder] if folder else []), *own, Path(str(resources.files(__package__) / "boards"))]


def _values(path: Path, folder: Path | None, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Keys of the file over those of the profile it extends."""
    table = Table.read(path)
    base = table.take_optional("extends", str)
    if base is None:
        return table.values()
    if path in seen:
        raise ConfigError(f"{path}: 'extends' leads back to itself")
    neighbour = path.parent / f"{base}.toml"
    places = [neighbour, *(place / f"{base}.toml" for place in _places(folder))]
    found = next((place for place in places if place.is_file() and place != path), None)
    if found is None:
        raise ConfigError(f"{path}: 'extends' names {base!r}, which is unknown; see `bnnpan sim boards`")
    values, own = _values(found, folder, (*seen, path)), table.values()
    sources = {**values.get("sources", {}), **own.get("sources", {})}
    return {**values, **own, "sources": sources}


def _processor(table: Table) -> Processor:
    names = ("implementer", "part", "variant", "revision", "l1_instruction_kib", "l1_data_kib", "l2_kib")
    processor = Processor(
        **{name: table.take(name, int) for name in names}, l3_kib=table.take_optional("l3_kib", int)
    )
    table.finish()
    return processor
