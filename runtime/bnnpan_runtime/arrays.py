"""Fusing from Python: arrays in, arrays out, by the engine and the tiles of the command (docs/python.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime import run
from bnnpan_runtime.array_sources import (
    Image,
    Images,
    LabelledArray,
    PlainImage,
    PlainImages,
    opened_ms,
    opened_pan,
    product_labels,
)
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import FuseReport, Plan
from bnnpan_runtime.guard import Guard, Protection
from bnnpan_runtime.method import Method, MethodOptions
from bnnpan_runtime.pipeline import fused_tiles
from bnnpan_runtime.run import AnyPath
from bnnpan_runtime.telemetry import SILENT
from bnnpan_runtime.worker import Slot

__all__ = ["FusedTile", "FusedTiles", "fuse", "fuse_tiles", "plan"]

UNLIMITED_BYTES = 2**62
"""Budget where none is given: the fastest plan."""

_Labelled = TypeVar("_Labelled", bound=LabelledArray)


@dataclass(frozen=True)
class FusedTile:
    """A finished part of a product.

    row, col    of its upper left corner in the product
    pixels      DN `(bands, height, width)`, the caller's own
    is_missing  whether nothing was measured there
    """

    row: int
    col: int
    pixels: NDArray[Any]
    is_missing: bool

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where it belongs in an array `(bands, height, width)` of the product."""
        _, height, width = self.pixels.shape
        return slice(None), slice(self.row, self.row + height), slice(self.col, self.col + width)


class FusedTiles(Iterator[FusedTile]):
    """Tiles of a product one after the other, as they are finished; made by `fuse_tiles`.

    Holds its inputs open, and GDAL's cache at the size of its plan, until it ends or is closed: use it as a
    context manager where it may be left early.
    """

    def __init__(self, stack: ExitStack, method: Method, plan: Plan, slots: Iterator[Slot]) -> None:
        self._stack, self._method, self._slots = stack, method, slots
        self.plan = plan

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, height and width of the product."""
        scene = self._method.scene
        return scene.bands, scene.height, scene.width

    @property
    def profile(self) -> dict[str, Any]:
        """Arguments of `rasterio.open` for a GeoTIFF of the product."""
        form = self._method.scene.product_format
        return {
            "driver": "GTiff",
            "height": form.height,
            "width": form.width,
            "count": form.bands,
            "dtype": form.dtype,
            "nodata": form.nodata,
            **form.georeference,
        }

    @property
    def method(self) -> Method:
        """What makes the product, and of which scene."""
        return self._method

    def close(self) -> None:
        """End now; tiles under way are not waited for."""
        self._stack.close()

    def __enter__(self) -> FusedTiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> FusedTile:
        try:
            slot = next(self._slots)
        except BaseException:  # its end, too
            self.close()
            raise
        core = slot.tile.core
        return FusedTile(core.row, core.col, slot.product.copy(), slot.skipped)


def fuse_tiles(
    pan: Image,
    ms: Images,
    bundle: Bundle | AnyPath | None,
    *,
    memory: str | int | None = None,
    threads: int = 1,
    tile: int | None = None,
    nodata: float | None = None,
    **options: Unpack[MethodOptions],
) -> FusedTiles:
    """Fuse a PAN and an MS tile by tile, row by row. For the arguments see `fuse`."""
    with ExitStack() as stack:
        pan_name = stack.enter_context(opened_pan(pan, nodata))
        ms_name = stack.enter_context(opened_ms(ms, nodata, pan))
        budget = UNLIMITED_BYTES if memory is None else memory
        job = stack.enter_context(run.prepared(pan_name, ms_name, bundle, budget, threads, tile, options))
        method, constants = job.method, job.method.calibrate()
        guard = Guard(method, constants, job.plan, Protection(), SILENT)
        slots = fused_tiles(method.scene, method.resampler, method.engine, constants, job.plan, guard=guard)
        stack.callback(slots.close)
        return FusedTiles(stack.pop_all(), method, job.plan, slots)
    raise AssertionError("unreachable: nothing above swallows exceptions")


@overload
def fuse(
    pan: Image,
    ms: Images,
    bundle: Bundle | AnyPath | None,
    out: AnyPath,
    *,
    memory: str | int,
    nodata: float | None = None,
    **options: Any,
) -> FuseReport: ...
@overload
def fuse(
    pan: _Labelled,
    ms: _Labelled,
    bundle: Bundle | AnyPath | None,
    out: None = None,
    *,
    memory: str | int | None = None,
    threads: int = 1,
    tile: int | None = None,
    nodata: float | None = None,
    **options: Unpack[MethodOptions],
) -> _Labelled: ...
@overload
def fuse(
    pan: PlainImage,
    ms: PlainImages,
    bundle: Bundle | AnyPath | None,
    out: None = None,
    *,
    memory: str | int | None = None,
    threads: int = 1,
    tile: int | None = None,
    nodata: float | None = None,
    **options: Unpack[MethodOptions],
) -> NDArray[Any]: ...
def fuse(
    pan: Any,
    ms: Any,
    bundle: Bundle | AnyPath | None,
    out: AnyPath | None = None,
    *,
    memory: str | int | None = None,
    nodata: float | None = None,
    **options: Any,
) -> Any:
    """Fuse a PAN and an MS into a file at `out`, or without one into an array.

    pan, ms  NumPy arrays `(height, width)` and `(bands, height, width)`, xarray.DataArrays, open rasterio
             datasets, or paths; MS also as several paths or datasets with some of the bands each
    bundle   network to use: an open one, a path, or the name of a shipped one; None for the classical method
    memory   budget for the whole process, but for an array that comes back; may then be left out
    threads  tiles computed at the same time
    tile     side of the tiles in PAN pixels, if not the planned one
    nodata   DN of pixels without a measurement, where arrays do not say it themselves
    options  those of `bnnpan_runtime.run.fuse`; without `out`, those of `MethodOptions`

    The array `(bands, height, width)` has the dtype of MS and the pixels that the file would have; from
    DataArrays comes a DataArray with the coordinates of PAN and the attributes of MS. Arrays are copied once.
    With `out`, returns the report of the run.

    Raises SceneError, BundleError, BudgetError, OutputError, BackendError or VerificationError.
    """
    if out is not None:
        return _fuse_to_file(pan, ms, bundle, out, nodata, {"memory": memory, **options})
    with fuse_tiles(pan, ms, bundle, memory=memory, nodata=nodata, **options) as tiles:
        product = np.empty(tiles.shape, tiles.profile["dtype"])
        for tile in tiles:
            product[tile.slices] = tile.pixels
        if not (isinstance(pan, LabelledArray) and isinstance(ms, LabelledArray)):
            return product
        scene = tiles.method.scene
        return product_labels(pan, ms, (scene.area.row, scene.area.col), scene.order, product)


def plan(
    pan: Image,
    ms: Images,
    bundle: Bundle | AnyPath | None,
    *,
    memory: str | int | None = None,
    nodata: float | None = None,
    **options: Any,
) -> Plan:
    """The plan that `fuse` with the same arguments would follow. Raises like `fuse`."""
    with opened_pan(pan, nodata) as pan_name, opened_ms(ms, nodata, pan) as ms_name:
        budget = UNLIMITED_BYTES if memory is None else memory
        return run.plan(pan_name, ms_name, bundle, memory=budget, **options)


def _fuse_to_file(
    pan: Image,
    ms: Images,
    bundle: Bundle | AnyPath | None,
    out: AnyPath,
    nodata: float | None,
    options: dict[str, Any],
) -> FuseReport:
    if options["memory"] is None:
        raise TypeError("fuse() writes files within a budget: give memory=..., such as '128MiB'")
    if any(isinstance(image, (np.ndarray, LabelledArray)) for image in (pan, ms)):
        # Only files tell whether they are the ones that an interrupted run has read.
        options.setdefault("resume", False)
    with opened_pan(pan, nodata) as pan_name, opened_ms(ms, nodata, pan) as ms_name:
        return run.fuse(pan_name, ms_name, bundle, out, **options)
