"""Board profiles: what a satellite's computer has, and how much of it an application gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.memory import MIB

from .toml_file import Table


@dataclass(frozen=True)
class Board:
    """One computer.

    features      instruction-set extensions by their names in `/proc/cpuinfo`
    ram_mib       memory fitted, MiB
    os_share_mib  what the GPU, the kernel and system services keep of it, MiB
    sources       field name -> where its figure comes from
    """

    name: str
    title: str
    cpu: str
    cores: int
    features: tuple[str, ...]
    ram_mib: int
    os_share_mib: int
    storage: str
    sources: Mapping[str, str]

    @property
    def application_bytes(self) -> int:
        """Memory left to one application."""
        return (self.ram_mib - self.os_share_mib) * MIB

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "application_bytes": self.application_bytes}


def board_names() -> list[str]:
    """Names of the profiles that come with the package, smallest memory first."""
    folder = resources.files(__package__) / "boards"
    names = [entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return sorted(names, key=lambda name: (load_board(name).ram_mib, name))


def load_board(name_or_path: str) -> Board:
    """The profile of that name, or the one in the user's own TOML file (anything with `.toml` or a slash).

    Raises ConfigError naming the file and the key that is wrong.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return read_board(Path(name_or_path))
    with resources.as_file(resources.files(__package__) / "boards" / f"{name_or_path}.toml") as path:
        if not path.is_file():
            raise ConfigError(
                f"board {name_or_path!r} is unknown; see `bnnpan sim boards`, or give a TOML file"
            )
        return read_board(path)


def read_board(path: Path) -> Board:
    """The profile in a TOML file; its name is the file's stem. Raises ConfigError."""
    table = Table.read(path)
    features = table.take("features", list)
    sources = table.take_optional("sources", dict)
    board = Board(
        name=path.stem,
        title=table.take("title", str),
        cpu=table.take("cpu", str),
        cores=table.take_positive("cores"),
        features=tuple(str(feature) for feature in features),
        ram_mib=table.take_positive("ram_mib"),
        os_share_mib=table.take_positive("os_share_mib"),
        storage=table.take("storage", str),
        sources=sources or {},
    )
    table.finish()
    if board.os_share_mib >= board.ram_mib:
        raise ConfigError(f"{path}: 'os_share_mib' leaves nothing of {board.ram_mib} MiB to an application")
    return board
