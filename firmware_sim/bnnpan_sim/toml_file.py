"""Strict reading of TOML tables: every error names the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.memory import parse_size

_T = TypeVar("_T", str, int, float, bool, list[Any], dict[str, Any])
_KIND_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class Table:
    """One table of a TOML file; keys are taken one by one and `finish` refuses what is left.

    `where` is the start of every message: the file, and the table inside it.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._left = dict(values)
        self._known: list[str] = []
        self.where = where

    @classmethod
    def read(cls, path: Path) -> Table:
        """The whole file as a table. Raises ConfigError if it cannot be read or is not TOML."""
        try:
            return cls(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; give the path of a readable TOML file") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from error

    def values(self) -> dict[str, Any]:
        """What nobody has taken yet, as it stands in the file."""
        return dict(self._left)

    def has(self, key: str) -> bool:
        """Whether the key is there; a key that was asked for is a known one."""
        if key not in self._known:
            self._known.append(key)
        return key in self._left

    def take(self, key: str, kind: type[_T]) -> _T:
        """The value of a key that must be there."""
        if not self.has(key):
            raise ConfigError(f"{self.where}: {key!r} is missing; it is {_KIND_NAMES[kind]}")
        value = self._left.pop(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{self.where}: {key!r} is {value!r}, but must be {_KIND_NAMES[kind]}")
        return value

    def take_optional(self, key: str, kind: type[_T]) -> _T | None:
        """The value of a key, None where the file does not have it."""
        return self.take(key, kind) if self.has(key) else None

    def take_positive(self, key: str) -> int:
        """A whole number of at least 1 that must be there."""
        value = self.take(key, int)
        if value < 1:
            raise ConfigError(f"{self.where}: {key!r} is {value}, but must be at least 1")
        return value

    def take_size(self, key: str) -> int:
        """A memory size such as `"96MiB"` that must be there, in bytes."""
        text = self.take(key, str)
        try:
            return parse_size(text)
        except ValueError as error:
            raise ConfigError(f"{self.where}: {key!r}: {error}") from error

    def take_optional_size(self, key: str) -> int | None:
        """A memory size in bytes, None where the file does not have it."""
        return self.take_size(key) if self.has(key) else None

    def take_table(self, key: str) -> Table:
        """The sub-table `[key]`, which must be there."""
        return Table(self.take(key, dict), f"{self.where} [{key}]")

    def take_optional_table(self, key: str) -> Table | None:
        """The sub-table `[key]`, None where the file does not have it."""
        return self.take_table(key) if self.has(key) else None

    def take_tables(self, key: str) -> list[Table]:
        """The sub-tables `[[key]]`, none where the file does not have them."""
        values = self.take_optional(key, list) or []
        for value in values:
            if not isinstance(value, dict):
                raise ConfigError(f"{self.where}: {key!r} must be tables, written [[{key}]]")
        return [Table(value, f"{self.where} [[{key}]]") for value in values]

    def finish(self) -> None:
        """Raise ConfigError if the table has a key that nobody asked for."""
        for key in self._left:
            raise ConfigError(f"{self.where}: unknown key {key!r}; known are {', '.join(self._known)}")
