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
from bnnpan_runtime.graph.protocol import BackendMemory, Float32
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


_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bnnpan_isa_name": (ctypes.c_char_p, [_INT]),
    "bnnpan_model_create": (_POINTER, [ctypes.POINTER(_Shape), ctypes.POINTER(_Array), ctypes.c_char_p]),
    "bnnpan_model_free": (None, [_POINTER]),
    "bnnpan_model_isa": (ctypes.c_char_p, [_POINTER]),
    "bnnpan_fuse_arena_bytes": (_SIZE, [_POINTER, _INT, _INT]),
    "bnnpan_fuse": (_INT, [_POINTER, _INT, _INT, *[_POINTER] * 5, _SIZE]),
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


@cache
def _load(path: Path) -> ctypes.CDLL:
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


def _raise_for(status: int, where: str) -> None:
    if status:
        raise BackendError(f"native: {where}: {_STATUS[status]}")
