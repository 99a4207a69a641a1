"""The native engine: libbnnpan through ctypes. Every instruction set gives the same bits."""

from __future__ import annotations

import ctypes
import weakref
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import (
    SAMPLES,
    Array,
    Axis,
    Shape,
    Tile,
    chosen_instruction_set,
    library_path,
    load,
)
from bnnpan_runtime.graph.library_image import constant_segments, memory_at
from bnnpan_runtime.graph.protocol import AxisTaps, BackendMemory, DnTile, Float32, TileShape
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.weights import weights_layout

__all__ = ["NativeBackend"]

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
    3: "the tile does not fit its window or its MS, or a scale is not a finite number above 0",
    4: "an array is missing or not aligned",
}


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
        self._library = load()
        self._shape = shape
        self._isa = chosen_instruction_set(isa)
        self.prepare(weights)
        self.isa: str = self._library.bnnpan_model_isa(self.model).decode()

    def prepare(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Prepare the network, again if its memory is damaged; calls under way go on with the old memory."""
        self.model = _create_model(self._library, weights, self._shape, self._isa)
        """`bnnpan_model *`, valid as long as this backend."""
        weakref.finalize(self, self._library.bnnpan_model_free, self.model)
        self._model_bytes = _model_bytes(self._library, self.model)
        self.prepared_checksum = zlib.crc32(self.prepared())

    def prepared(self) -> memoryview:
        """The prepared network in the library's memory."""
        return memory_at(self.model, self._model_bytes)

    def code(self) -> list[memoryview]:
        """The library's code and tables."""
        return constant_segments(library_path())

    def memory(self, height: int, width: int) -> BackendMemory:
        """Arena of one window in PAN pixels; the library itself allocates nothing while it runs."""
        arena_bytes = self._library.bnnpan_fuse_arena_bytes(self.model, height, width)
        if arena_bytes == 0:
            raise BackendError(f"native: window {height} x {width}: {_STATUS[1]}")
        return BackendMemory(arena_bytes=arena_bytes, library_bytes=0)

    def calibration_bytes(self, count: int, patch: int) -> int:
        """Arena of `calibrate`: one patch is worked on at a time."""
        return int(self._library.bnnpan_calibrate_arena_bytes(self.model, patch, patch))

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Patches `(count, 1, patch, patch)`, `(count, bands, patch, patch)` to `(blocks, 2, channels)`."""
        shape = self._shape
        count, (height, width) = len(pan), pan.shape[-2:]
        _check("pan", pan, (count, 1, height, width))
        _check("lms", lms, (count, shape.bands, height, width))
        affines = np.empty((shape.blocks, 2, shape.channels), np.float32)
        arena_bytes = self._library.bnnpan_calibrate_arena_bytes(self.model, height, width)
        arena = np.empty(arena_bytes, np.uint8)
        pointers = [array.ctypes.data for array in (pan, lms, affines, arena)]
        status = self._library.bnnpan_calibrate(self.model, count, height, width, *pointers, arena_bytes)
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
        status = self._library.bnnpan_fuse(self.model, height, width, *pointers, arena.nbytes)
        _raise_for(status, f"window {height} x {width}")

    def tile_arena_bytes(self, shape: TileShape, rows: AxisTaps, cols: AxisTaps) -> int:
        """Scratch of `fuse_tile`, for any phase; it grows with the width only."""
        tile = Tile(rows=Axis.of(rows), cols=Axis.of(cols), height=shape.height, width=shape.width)
        tile.row_phase, tile.col_phase = rows.ratio - 1, cols.ratio - 1
        arena_bytes = int(self._library.bnnpan_fuse_tile_arena_bytes(self.model, tile))
        if arena_bytes == 0:
            raise BackendError(f"native: window {shape.height} x {shape.width}: {_STATUS[1]}")
        return arena_bytes

    def fuse_tile(self, tile: DnTile, affines: Float32, arena: NDArray[np.uint8]) -> None:
        """Fill `tile.product`; releases the GIL."""
        shape, bands = tile.shape, self._shape.bands
        _check("affines", affines, (self._shape.blocks, 2, self._shape.channels))
        _check_units(tile.units, bands)
        ms_shape = (
            bands,
            (shape.row_phase + shape.height - 1) // tile.rows.ratio + tile.rows.taps,
            (shape.col_phase + shape.width - 1) // tile.cols.ratio + tile.cols.taps,
        )
        _check_dn("pan", tile.pan, tile.product.dtype, (shape.height, shape.width), rows_apart=True)
        _check_dn("ms", tile.ms, tile.product.dtype, ms_shape)
        _check_dn("product", tile.product, tile.product.dtype, (bands, shape.core_height, shape.core_width))
        if tile.shrunk is not None:
            _check("shrunk", tile.shrunk, ms_shape[1:])
        if not (tile.product.flags.writeable and arena.flags.writeable and arena.flags.c_contiguous):
            raise BackendError("native: product and arena must be writeable, the arena contiguous")
        status = self._library.bnnpan_fuse_tile(
            self.model, Tile.of(tile), affines.ctypes.data, arena.ctypes.data, arena.nbytes
        )
        _raise_for(status, f"tile {shape.height} x {shape.width}")


def _create_model(
    library: ctypes.CDLL, weights: Mapping[str, NDArray[Any]], shape: NetworkShape, isa: str
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
    c_shape = Shape(
        shape.bands,
        shape.channels,
        shape.blocks,
        shape.latent,
        shape.prior_steps,
        int(shape.outer_skip),
        int(shape.pooled_encoder == "rectified"),
    )
    c_arrays = (Array * len(arrays))(*[Array(array.ctypes.data, array.nbytes) for array in arrays])
    model: int | None = library.bnnpan_model_create(c_shape, c_arrays, isa.encode())
    if model is None:
        raise BackendError(f"native: the engine does not take a network of this size: {shape}")
    return model


def _model_bytes(library: ctypes.CDLL, model: int) -> int:
    """Size of the memory of a model; 0 from a library that is older than this question."""
    function = getattr(library, "bnnpan_model_bytes", None)
    if function is None:
        return 0
    function.restype, function.argtypes = ctypes.c_size_t, [ctypes.c_void_p]
    return int(function(model))


def _check(name: str, array: Float32, shape: tuple[int, ...]) -> None:
    if array.dtype != np.float32 or array.shape != shape or not array.flags.c_contiguous:
        raise BackendError(
            f"native: {name} is {array.dtype} {array.shape}, must be contiguous float32 {shape}"
        )


def _check_dn(
    name: str, array: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...], rows_apart: bool = False
) -> None:
    if dtype.name not in SAMPLES or array.dtype != dtype:
        raise BackendError(
            f"native: {name} is {array.dtype}; PAN, MS and product must all be one of {', '.join(SAMPLES)}"
        )
    contiguous = _rows_are_contiguous(array) if rows_apart else array.flags.c_contiguous
    if array.shape != shape or not contiguous:
        raise BackendError(f"native: {name} is {array.shape}, must be contiguous {shape}")


def _rows_are_contiguous(image: NDArray[Any]) -> bool:
    """Whether it is one row of samples after another, maybe with a gap of whole samples."""
    between, step = image.strides
    whole = between % image.itemsize == 0 and between >= image.shape[1] * image.itemsize
    return whole and step == image.itemsize


def _check_units(units: SceneUnits, bands: int) -> None:
    for name in ("ms_offset", "ms_scale", "injected"):
        if len(getattr(units, name)) != bands:
            raise BackendError(f"native: {name} has {len(getattr(units, name))} values, must be {bands}")


def _raise_for(status: int, where: str) -> None:
    if status:
        raise BackendError(f"native: {where}: {_STATUS[status]}")
