"""The native engine: libbnnpan through ctypes. Every instruction set gives the same bits."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import AxisTaps, BackendMemory, DnTile, Float32, TileShape
from bnnpan_runtime.weights import weights_layout

__all__ = ["NativeBackend", "instruction_sets", "library_path"]

ABI_VERSION = 2
"""`BNNPAN_ABI_VERSION` of bnnpan.h that the declarations below follow."""

LIBRARY_VARIABLE = "BNNPAN_NATIVE_LIBRARY"
ISA_VARIABLE = "BNNPAN_ISA"

ARRAYS = (
    "head.weight",
    "head.bias",
    "tail.weight",
    "tail.bias",
    "trunk.bits",
    "trunk.shift",
    "trunk.scale",
    "trunk.gamma",
    "trunk.beta",
    "trunk.zeta",
    "trunk.inverse_lambda",
    "trunk.phi",
    "trunk.eta",
    "ldpc.weight",
    "ldpc.bias",
    "cdc.weight",
    "cdc.bias",
    "encoder.conv.weight",
    "encoder.conv.bias",
    "encoder.hidden.weight",
    "encoder.hidden.bias",
    "encoder.out.weight",
    "encoder.out.bias",
    "denoiser.hidden.weight",
    "denoiser.hidden.bias",
    "denoiser.out.weight",
    "denoiser.out.bias",
    "diffusion.latent_gain",
    "diffusion.estimate_gain",
    "diffusion.latent_start",
)
"""Order of `bnnpan_array_id`."""

_STATUS = {
    1: "height and width must be even, 2 to 32768",
    2: "the arena is too small",
    3: "the tile does not fit its window or its MS",
    4: "an array is missing or not aligned",
}


class _Shape(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in ("bands", "channels", "blocks", "latent", "prior_steps", "outer_skip", "rectified")
    ]


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class _Axis(ctypes.Structure):
    _fields_ = [("ratio", ctypes.c_int32), ("taps", ctypes.c_int32), ("weights", ctypes.c_void_p)]


class _Tile(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("pan", "ms", "product")],
        *[(name, _Axis) for name in ("rows", "cols")],
        *[(name, ctypes.c_int32) for name in ("sample", "height", "width")],
        *[(name, ctypes.c_int32) for name in ("core_row", "core_col", "core_height", "core_width")],
        *[(name, ctypes.c_int32) for name in ("row_phase", "col_phase")],
        ("dn_scale", ctypes.c_float),
        *[(name, ctypes.c_int32) for name in ("has_pan_nodata", "has_ms_nodata")],
        *[(name, ctypes.c_float) for name in ("pan_nodata", "ms_nodata")],
    ]


_SAMPLES = {"uint8": 0, "uint16": 1, "int16": 2, "float32": 3}
"""`bnnpan_sample` of a dtype."""

_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bnnpan_isa_name": (ctypes.c_char_p, [_INT]),
    "bnnpan_model_create": (_POINTER, [ctypes.POINTER(_Shape), ctypes.POINTER(_Array), ctypes.c_char_p]),
    "bnnpan_model_free": (None, [_POINTER]),
    "bnnpan_model_isa": (ctypes.c_char_p, [_POINTER]),
    "bnnpan_fuse_arena_bytes": (_SIZE, [_POINTER, _INT, _INT]),
    "bnnpan_fuse": (_INT, [_POINTER, _INT, _INT, *[_POINTER] * 5, _SIZE]),
    "bnnpan_fuse_tile_arena_bytes": (_SIZE, [_POINTER, ctypes.POINTER(_Tile)]),
    "bnnpan_fuse_tile": (_INT, [_POINTER, ctypes.POINTER(_Tile), _POINTER, _POINTER, _SIZE]),
    "bnnpan_calibrate_arena_bytes": (_SIZE, [_POINTER, _INT, _INT]),
    "bnnpan_calibrate": (_INT, [_POINTER, _INT, _INT, _INT, *[_POINTER] * 4, _SIZE]),
}


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
    library = _load(library_path())
    names: list[str] = []
    while name := library.bnnpan_isa_name(len(names)):
        names.append(name.decode())
    return tuple(names)


class NativeBackend:
    """Both graphs of one bundle in C; memory for a window grows with its width only.

    `isa` picks one of `instruction_sets()`; without it the environment variable `BNNPAN_ISA`, else the best.
    Raises BackendError when the library is missing or of another version, or when weights, shape and
    instruction set do not fit it.
    """

    name = "native"
    fixed_window: int | None = None

    def __init__(
        self, weights: Mapping[str, NDArray[Any]], shape: NetworkShape, isa: str | None = None
    ) -> None:
        self._library = _load(library_path())
        self._shape = shape
        wanted = isa or os.environ.get(ISA_VARIABLE) or None
        if wanted is not None and wanted not in instruction_sets():
            available = ", ".join(instruction_sets())
            raise BackendError(f"native: instruction set {wanted!r} is not available; use one of {available}")
        self._model = _create_model(self._library, weights, shape, wanted)
        weakref.finalize(self, self._library.bnnpan_model_free, self._model)
        self.isa: str = self._library.bnnpan_model_isa(self._model).decode()

    def memory(self, height: int, width: int) -> BackendMemory:
        """Arena of one window in PAN pixels; the library itself allocates nothing while it runs."""
        arena_bytes = self._library.bnnpan_fuse_arena_bytes(self._model, height, width)
        if arena_bytes == 0:
            raise BackendError(f"native: window {height} x {width}: {_STATUS[1]}")
        return BackendMemory(arena_bytes=arena_bytes, library_bytes=0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """Arena of `calibrate`: one patch is worked on at a time."""
        return int(self._library.bnnpan_calibrate_arena_bytes(self._model, patch, patch))

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Patches `(count, 1, patch, patch)`, `(count, bands, patch, patch)` to `(blocks, 2, channels)`."""
        shape = self._shape
        count, (height, width) = len(pan), pan.shape[-2:]
        _check("pan", pan, (count, 1, height, width))
        _check("lms", lms, (count, shape.bands, height, width))
        affines = np.empty((shape.blocks, 2, shape.channels), np.float32)
        arena_bytes = self._library.bnnpan_calibrate_arena_bytes(self._model, height, width)
        arena = np.empty(arena_bytes, np.uint8)
        pointers = [array.ctypes.data for array in (pan, lms, affines, arena)]
        status = self._library.bnnpan_calibrate(self._model, count, height, width, *pointers, arena_bytes)
        _raise_for(status, f"{count} patches of {height} x {width}")
        return affines

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse PAN `(1, height, width)` and LMS `(bands, height, width)` into `out`; releases the GIL."""
        shape = self._shape
        height, width = pan.shape[-2:]
        _check("pan", pan, (1, height, width))
        _check("lms", lms, (shape.bands, height, width))
        _check("affines", affines, (shape.blocks, 2, shape.channels))
        _check("out", out, lms.shape)
        if not (out.flags.writeable and arena.flags.writeable and arena.flags.c_contiguous):
            raise BackendError("native: out and arena must be writeable, the arena contiguous")
        pointers = [array.ctypes.data for array in (pan, lms, affines, out, arena)]
        status = self._library.bnnpan_fuse(self._model, height, width, *pointers, arena.nbytes)
        _raise_for(status, f"window {height} x {width}")

    def tile_arena_bytes(self, shape: TileShape, rows: AxisTaps, cols: AxisTaps) -> int:
        """Scratch of `fuse_tile`, for any phase; it grows with the width only."""
        tile = _Tile(rows=_axis(rows), cols=_axis(cols), height=shape.height, width=shape.width)
        tile.row_phase, tile.col_phase = rows.ratio - 1, cols.ratio - 1
        arena_bytes = int(self._library.bnnpan_fuse_tile_arena_bytes(self._model, tile))
        if arena_bytes == 0:
            raise BackendError(f"native: window {shape.height} x {shape.width}: {_STATUS[1]}")
        return arena_bytes

    def fuse_tile(self, tile: DnTile, affines: Float32, arena: NDArray[np.uint8]) -> None:
        """Fill `tile.product`; releases the GIL."""
        shape, bands = tile.shape, self._shape.bands
        _check("affines", affines, (self._shape.blocks, 2, self._shape.channels))
        ms_shape = (
            bands,
            (shape.row_phase + shape.height - 1) // tile.rows.ratio + tile.rows.taps,
            (shape.col_phase + shape.width - 1) // tile.cols.ratio + tile.cols.taps,
        )
        _check_dn("pan", tile.pan, tile.product.dtype, (shape.height, shape.width))
        _check_dn("ms", tile.ms, tile.product.dtype, ms_shape)
        _check_dn("product", tile.product, tile.product.dtype, (bands, shape.core_height, shape.core_width))
        if not (tile.product.flags.writeable and arena.flags.writeable and arena.flags.c_contiguous):
            raise BackendError("native: product and arena must be writeable, the arena contiguous")
        status = self._library.bnnpan_fuse_tile(
            self._model, _tile(tile), affines.ctypes.data, arena.ctypes.data, arena.nbytes
        )
        _raise_for(status, f"tile {shape.height} x {shape.width}")


def _tile(tile: DnTile) -> _Tile:
    return _Tile(
        pan=tile.pan.ctypes.data,
        ms=tile.ms.ctypes.data,
        product=tile.product.ctypes.data,
        rows=_axis(tile.rows),
        cols=_axis(tile.cols),
        sample=_SAMPLES[tile.product.dtype.name],
        dn_scale=tile.dn_scale,
        has_pan_nodata=tile.pan_nodata is not None,
        has_ms_nodata=tile.ms_nodata is not None,
        pan_nodata=tile.pan_nodata or 0,
        ms_nodata=tile.ms_nodata or 0,
        **vars(tile.shape),
    )


def _axis(axis: AxisTaps) -> _Axis:
    return _Axis(axis.ratio, axis.taps, axis.weights.ctypes.data)


@cache
def _load(path: Path) -> ctypes.CDLL:
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
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _create_model(
    library: ctypes.CDLL, weights: Mapping[str, NDArray[Any]], shape: NetworkShape, isa: str | None
) -> int:
    layout = weights_layout(shape)
    arrays = []
    for name in ARRAYS:
        if name not in weights:
            raise BackendError(f"native: tensor {name} is missing from the weights")
        expected = layout[name]
        array = np.ascontiguousarray(weights[name])
        if array.dtype != expected.dtype or array.shape != expected.shape:
            raise BackendError(
                f"native: {name} is {array.dtype} {array.shape}, must be {expected.dtype} {expected.shape}"
            )
        arrays.append(array)
    c_shape = _Shape(
        shape.bands,
        shape.channels,
        shape.blocks,
        shape.latent,
        shape.prior_steps,
        int(shape.outer_skip),
        int(shape.pooled_encoder == "rectified"),
    )
    c_arrays = (_Array * len(arrays))(*[_Array(array.ctypes.data, array.nbytes) for array in arrays])
    model: int | None = library.bnnpan_model_create(c_shape, c_arrays, isa.encode() if isa else None)
    if model is None:
        raise BackendError(f"native: the engine does not take a network of this size: {shape}")
    return model


def _check(name: str, array: Float32, shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape or not array.flags.c_contiguous:
        raise BackendError(
            f"native: {name} is {array.dtype} {array.shape}, must be contiguous float32 {shape}"
        )


def _check_dn(name: str, array: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if dtype.name not in _SAMPLES or array.dtype != dtype:
        raise BackendError(
            f"native: {name} is {array.dtype}; PAN, MS and product must all be one of {', '.join(_SAMPLES)}"
        )
    if array.shape != shape or not array.flags.c_contiguous:
        raise BackendError(f"native: {name} is {array.shape}, must be contiguous {shape}")


def _raise_for(status: int, where: str) -> None:
    if status:
        raise BackendError(f"native: {where}: {_STATUS[status]}")
