"""PanCollection files as they lie on disk: names, keys and shapes.

HDF5 with `gt`, `lms`, `ms`, `pan` of shape `(n, channels, height, width)` in DN, PAN at the size of `gt`;
full-resolution files lack `gt`. Sensor and bit depth come from the file name (`train_wv3.h5`,
`test_gf2_multiExm1.h5`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import h5py

from bnnpan_runtime.errors import ConfigError

__all__ = ["FULL_KEYS", "REDUCED_KEYS", "bit_depth", "layout", "open_file", "sensor_tag"]

log = logging.getLogger(__name__)

REDUCED_KEYS, FULL_KEYS = ("pan", "lms", "ms", "gt"), ("pan", "lms", "ms")
SENSOR_TAGS = ("wv2", "wv3", "qb", "gf2")
"""WorldView-2 and 3, QuickBird, GaoFen-2."""


def bit_depth(tag: str) -> int:
    """Bits per DN: published scales are 1023 for GaoFen-2 and 2047 for the others."""
    return 10 if tag == "gf2" else 11


def sensor_tag(path: Path) -> str:
    """Which sensor a file is of, by its name; empty, with a warning, for a name that tells none."""
    tag = next((tag for tag in SENSOR_TAGS if tag in path.stem.lower()), "")
    if not tag:
        listed = ", ".join(SENSOR_TAGS)
        log.warning("%s: no %s in its name: taken for an unknown sensor of 11 bits", path, listed)
    return tag


def open_file(path: Path, keys: Sequence[str]) -> h5py.File:
    """The open file. Raises `ConfigError` if it cannot be read or lacks a key."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ConfigError(f"{path} is no readable HDF5 ({error}): give a PanCollection file") from error
    missing = [key for key in keys if key not in file]
    if missing:
        raise ConfigError(f"{path} has no {', '.join(missing)}: give a PanCollection file of the right kind")
    return file


def layout(path: Path, file: h5py.File, fine: str) -> tuple[int, int]:
    """Number of bands and ratio of a file whose fine MS images are in `fine`.

    Raises `ConfigError` if its arrays do not fit together.
    """
    shapes = {key: file[key].shape for key in (*FULL_KEYS, fine)}
    are_images = all(len(shape) == 4 for shape in shapes.values())
    n, bands, height, width = shapes[fine] if are_images else (0, 0, 0, 0)
    ratio = height // max(shapes["ms"][2], 1) if are_images else 0
    fits = (
        n * bands * ratio > 0
        and shapes["pan"] == (n, 1, height, width)
        and shapes["lms"] == (n, bands, height, width)
        and shapes["ms"] == (n, bands, height // ratio, width // ratio)
        and height % ratio == width % ratio == 0
    )
    if not fits:
        listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise ConfigError(f"{path}: {listed} do not fit together: give another file")
    return bands, ratio
