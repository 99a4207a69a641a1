"""The file that tells how a camera's detectors differ: TOML, or the same as JSON, read once before a run.

    format = 1

    [pan]
    saturation = 2047          # raw DN; leave out where it is not known
    dark = [12.1, 11.9, ...]   # DN per column, or one number for all
    gain = 1.0                 # likewise
    dead = [17, 4021]          # columns, counted from 0; leave out if there are none

    [[ms]]                     # one per band of the MS files, in their order there, used or not
    dark = 8.5
    gain = [1.02, 0.99, ...]

TOML is for people. JSON, if the name ends in .json, is read five times faster, which counts for wide cameras
on slow boards. Whatever is wrong with either is said in one line: it may come from anywhere.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.memory import format_size
from bnnpan_runtime.radiometry.levels import Float32
from bnnpan_runtime.radiometry.line import Line

__all__ = ["FORMAT", "read_lines"]

FORMAT = 1
_LARGEST_BYTES = 4 * 2**20
"""Nine bands of 16384 detectors with two numbers of ten letters each take 3 MB."""

_MOST_MARKS = 1000
"""Brackets, braces, colons and equals signs: a few per band, and some in comments. A file of nothing else
would take a hundred times its size in memory."""

_LARGEST_DN = 1e9
_SMALLEST_GAIN, _LARGEST_GAIN = 1e-3, 1e3
_KEYS = {"dark", "gain", "dead", "saturation"}


def read_lines(
    path: str | os.PathLike[str], pan_columns: int, ms_columns: int, bands: int
) -> tuple[Line, tuple[Line, ...], bytes]:
    """Detectors of PAN and of each MS band, and the file's content. Raises SceneError."""
    content = _content(Path(path))
    kind, parse = ("JSON", json.loads) if str(path).endswith(".json") else ("TOML", tomllib.loads)
    try:
        value = parse(content.decode())
    except (ValueError, RecursionError) as error:  # both formats' own errors, and bad UTF-8, are ValueErrors
        raise SceneError(f"{path}: not a {kind} file ({error}); see docs/radiometry.md") from error
    try:
        if not isinstance(value, dict):
            raise ValueError("the file holds no sections")
        _check_keys(value, {"format", "pan", "ms"}, "the file")
        if value.get("format") != FORMAT:
            raise ValueError(f"format is {value.get('format')!r}, this version reads {FORMAT}")
        sections = value.get("ms")
        if not isinstance(sections, list) or len(sections) != bands:
            count = len(sections) if isinstance(sections, list) else 0
            raise ValueError(f"there are {count} [[ms]] sections, the MS raster has {bands} bands")
        pan = _line(value.get("pan"), pan_columns, "pan")
        ms = tuple(_line(part, ms_columns, f"ms[{band}]") for band, part in enumerate(sections))
    except ValueError as error:
        raise SceneError(f"{path}: {error}; see docs/radiometry.md") from error
    return pan, ms, content


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise SceneError(f"{path}: cannot read the radiometry file ({error.strerror})") from error
    if len(content) > _LARGEST_BYTES:
        raise SceneError(f"{path}: a radiometry file has at most {format_size(_LARGEST_BYTES)}")
    if sum(map(content.count, (b"[", b"{", b":", b"="))) > _MOST_MARKS:
        raise SceneError(
            f"{path}: more sections, lists and keys than any camera needs; see docs/radiometry.md"
        )
    return content


def _line(value: Any, columns: int, where: str) -> Line:
    """One section. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"there is no section {where}")
    _check_keys(value, _KEYS, where)
    dark = _per_column(value.get("dark", 0.0), columns, f"{where}.dark", -_LARGEST_DN, _LARGEST_DN)
    gain = _per_column(value.get("gain", 1.0), columns, f"{where}.gain", _SMALLEST_GAIN, _LARGEST_GAIN)
    dead = _columns(value.get("dead", []), columns, f"{where}.dead")
    saturation = value.get("saturation")
    if saturation is not None:
        saturation = _number(saturation, f"{where}.saturation", 0.0, _LARGEST_DN)
        live = np.delete(dark, dead)
        if not (live < saturation).all():
            raise ValueError(f"{where}.dark reaches {where}.saturation")
    return Line(dark, gain, dead, saturation)


def _check_keys(value: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise ValueError(
            f"{where} has an unknown key {unknown[0][:40]!r}; known are {', '.join(sorted(known))}"
        )


def _per_column(value: Any, columns: int, where: str, low: float, high: float) -> Float32:
    if not isinstance(value, list):
        return np.full(columns, _number(value, where, low, high), np.float32)
    if len(value) != columns:
        raise ValueError(f"{where} has {len(value)} values, the raster has {columns} columns")
    return np.array([_number(item, f"{where}[{k}]", low, high) for k, item in enumerate(value)], np.float32)


def _number(value: Any, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where} is not a number")
    if not low <= value <= high or math.isnan(value):
        raise ValueError(f"{where} must be {low:g} to {high:g}")
    return float(value)


def _columns(value: Any, columns: int, where: str) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Dead columns, in rising order."""
    if not isinstance(value, list):
        raise ValueError(f"{where} is not a list of columns")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < columns:
            raise ValueError(f"{where} lists {str(item)[:40]!r}, columns are 0 to {columns - 1}")
    dead = sorted(set(value))
    if len(dead) == columns:
        raise ValueError(f"{where} lists all columns")
    return np.array(dead, np.intp)
