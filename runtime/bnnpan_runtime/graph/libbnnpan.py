"""libbnnpan through ctypes: where it is, what `bnnpan.h` declares, and which instruction sets run here."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import AxisTaps, DnTile

__all__ = [
    "ABI_VERSION",
    "FUNCTIONS",
    "ISA_VARIABLE",
    "LIBRARY_VARIABLE",
    "SAMPLES",
    "Array",
    "Axis",
    "Shape",
    "Tile",
    "chosen_instruction_set",
    "instruction_sets",
    "library_path",
    "load",
]

ABI_VERSION = 4
"""`BNNPAN_ABI_VERSION` of bnnpan.h that the declarations below follow."""

LIBRARY_VARIABLE = "BNNPAN_NATIVE_LIBRARY"
ISA_VARIABLE = "BNNPAN_ISA"

SAMPLES = {"uint8": 0, "uint16": 1, "int16": 2, "float32": 3}
"""`bnnpan_sample` of a dtype."""


class Shape(ctypes.Structure):
    """`bnnpan_shape`."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in ("bands", "channels", "blocks", "latent", "prior_steps", "outer_skip", "rectified")
    ]


class Array(ctypes.Structure):
    """`bnnpan_array`."""

    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Axis(ctypes.Structure):
    """`bnnpan_axis`; it points into the taps it is made of."""

    _fields_ = [("ratio", ctypes.c_int32), ("taps", ctypes.c_int32), ("weights", ctypes.c_void_p)]

    @classmethod
    def of(cls, axis: AxisTaps) -> Axis:
        """The taps of one axis."""
        return cls(axis.ratio, axis.taps, axis.weights.ctypes.data)


_FLOATS = ctypes.POINTER(ctypes.c_float)


class Tile(ctypes.Structure):
    """`bnnpan_tile`."""

    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("pan", "ms", "product")],
        *[(name, Axis) for name in ("rows", "cols")],
        *[(name, ctypes.c_int32) for name in ("sample", "height", "width", "pan_stride")],
        *[(name, ctypes.c_int32) for name in ("core_row", "core_col", "core_height", "core_width")],
        *[(name, ctypes.c_int32) for name in ("row_phase", "col_phase")],
        *[(name, ctypes.c_float) for name in ("pan_offset", "pan_scale")],
        *[(name, _FLOATS) for name in ("ms_offset", "ms_scale", "injected")],
        ("shrunk", ctypes.c_void_p),
        *[(name, ctypes.c_int32) for name in ("has_pan_nodata", "has_ms_nodata")],
        *[(name, ctypes.c_float) for name in ("pan_nodata", "ms_nodata")],
    ]
    source: DnTile
    """Whose arrays the pointers point into, so that they last."""

    @classmethod
    def of(cls, tile: DnTile) -> Tile:
        """A tile whose arrays are C-contiguous, but for the rows of PAN, and of one type that is known."""
        units = tile.units
        made = cls(
            pan=tile.pan.ctypes.data,
            ms=tile.ms.ctypes.data,
            product=tile.product.ctypes.data,
            rows=Axis.of(tile.rows),
            cols=Axis.of(tile.cols),
            sample=SAMPLES[tile.product.dtype.name],
            pan_stride=tile.pan.strides[0] // tile.pan.itemsize,
            pan_offset=units.pan_offset,
            pan_scale=units.pan_scale,
            ms_offset=_floats(units.ms_offset),
            ms_scale=_floats(units.ms_scale),
            injected=None if tile.shrunk is None else _floats(units.injected),
            shrunk=None if tile.shrunk is None else tile.shrunk.ctypes.data,
            has_pan_nodata=tile.pan_nodata is not None,
            has_ms_nodata=tile.ms_nodata is not None,
            pan_nodata=tile.pan_nodata or 0,
            ms_nodata=tile.ms_nodata or 0,
            **vars(tile.shape),
        )
        made.source = tile
        return made


def _floats(values: Sequence[float]) -> ctypes.Array[ctypes.c_float]:
    return (ctypes.c_float * len(values))(*values)


_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bnnpan_isa_name": (ctypes.c_char_p, [_INT]),
    "bnnpan_model_create": (_POINTER, [ctypes.POINTER(Shape), ctypes.POINTER(Array), ctypes.c_char_p]),
    "bnnpan_model_free": (None, [_POINTER]),
    "bnnpan_model_isa": (ctypes.c_char_p, [_POINTER]),
    "bnnpan_fuse_arena_bytes": (_SIZE, [_POINTER, _INT, _INT]),
    "bnnpan_fuse": (_INT, [_POINTER, _INT, _INT, *[_POINTER] * 5, _SIZE]),
    "bnnpan_fuse_tile_arena_bytes": (_SIZE, [_POINTER, ctypes.POINTER(Tile)]),
    "bnnpan_fuse_tile": (_INT, [_POINTER, ctypes.POINTER(Tile), _POINTER, _POINTER, _SIZE]),
    "bnnpan_calibrate_arena_bytes": (_SIZE, [_POINTER, _INT, _INT]),
    "bnnpan_calibrate": (_INT, [_POINTER, _INT, _INT, _INT, *[_POINTER] * 4, _SIZE]),
}
"""Result and arguments of each function."""


def library_path() -> Path:
    """Where libbnnpan is expected: `BNNPAN_NATIVE_LIBRARY` if set, else inside the installed package."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(str(resources.files("bnnpan_runtime"))) / "_native" / "libbnnpan.so"


def instruction_sets() -> tuple[str, ...]:
    """Instruction sets of the library that this processor can run, best first.

    Raises BackendError when the library is missing.
    """
    library = load()
    names: list[str] = []
    while name := library.bnnpan_isa_name(len(names)):
        names.append(name.decode())
    return tuple(names)


def chosen_instruction_set(wanted: str | None = None) -> str:
    """`wanted`, else that of the environment variable `BNNPAN_ISA`, else the best.

    Raises BackendError when the library is missing or has no such instruction set for this processor.
    """
    available = instruction_sets()
    chosen = wanted or os.environ.get(ISA_VARIABLE) or available[0]
    if chosen not in available:
        raise BackendError(f"instruction set {chosen!r} is not available; use one of {', '.join(available)}")
    return chosen


def load() -> ctypes.CDLL:
    """The library at `library_path()`, its functions declared.

    Raises BackendError when it is missing or of another version.
    """
    return _loaded(library_path())


@cache
def _loaded(path: Path) -> ctypes.CDLL:
    if not path.exists() and LIBRARY_VARIABLE not in os.environ:
        raise BackendError(
            "native: bnnpan-runtime is installed without its C library, which could not be built here;"
            " install a wheel of it, or install a C compiler and repeat the installation with"
            " --force-reinstall --no-cache-dir"
        )
    try:
        library = ctypes.CDLL(str(path))
        version = library.bnnpan_abi_version()
    except (OSError, AttributeError) as error:
        raise BackendError(
            f"native: {path} is missing or not libbnnpan; reinstall bnnpan-runtime or set {LIBRARY_VARIABLE}"
        ) from error
    if version != ABI_VERSION:
        raise BackendError(
            f"native: {path} has ABI version {version}, must be {ABI_VERSION}; reinstall bnnpan-runtime"
        )
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
