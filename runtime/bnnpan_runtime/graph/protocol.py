"""What every engine that runs the network offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.scene_units import SceneUnits

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class BackendMemory:
    """Memory for one window in flight, beyond its inputs and output.

    arena_bytes    scratch that the caller allocates once and passes to `fuse`
    library_bytes  what the engine's own allocator takes on top
    """

    arena_bytes: int
    library_bytes: int


class Engine(Protocol):
    """Whatever computes tiles: what a plan needs to know of it."""

    name: str
    isa: str
    fixed_window: int | None
    """Side of the only window the graph takes, or None for any."""

    def memory(self, height: int, width: int) -> BackendMemory:
        """What one window of that size needs."""
        ...

    def calibration_bytes(self, count: int, patch: int) -> int:
        """What a calibration takes beyond its patches, and gives back, for `count` of `patch x patch`."""
        ...


class Backend(Engine, Protocol):
    """Runs the network of one bundle. `fuse` may be called from several threads, one arena each.

    Images are in network units (`SceneUnits`), C-contiguous float32; height and width are even.
    """

    def calibrate(self, pan: Float32, lms: Float32) -> Float32:
        """Affines `(blocks, 2, channels)` of a scene from its patches.

        PAN is `(count, 1, patch, patch)`, LMS `(count, bands, patch, patch)`.
        """
        ...

    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """Fuse PAN `(1, height, width)` and LMS `(bands, height, width)` into `out`, shaped like LMS."""
        ...


@dataclass(frozen=True)
class AxisTaps:
    """Interpolation of MS along one axis: PAN position `ratio * k + p` sums `weights[p, t] * ms[k + t]`.

    `weights` is `(ratio, taps)` float32; zeros are skipped.
    """

    weights: Float32

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel."""
        return self.weights.shape[0]

    @property
    def taps(self) -> int:
        """MS samples that one PAN position may draw on."""
        return self.weights.shape[1]


@dataclass(frozen=True)
class TileShape:
    """Geometry of one tile: its window, the core that is wanted, and where it lies between MS samples.

    The window's first row and column are positions `row_phase` and `col_phase`, below the ratio, of the MS
    that comes with it.
    """

    height: int
    width: int
    core_row: int
    core_col: int
    core_height: int
    core_width: int
    row_phase: int
    col_phase: int

    @classmethod
    def of(cls, window: Window, core: Window, ratio: int) -> TileShape:
        """Of a scene, in PAN pixels; the core lies in the window."""
        return cls(
            height=window.height,
            width=window.width,
            core_row=core.row - window.row,
            core_col=core.col - window.col,
            core_height=core.height,
            core_width=core.width,
            row_phase=window.row % ratio,
            col_phase=window.col % ratio,
        )

    @classmethod
    def whole(cls, height: int, width: int) -> TileShape:
        """A window of which everything is wanted, at the scene's first pixel."""
        return cls(height, width, 0, 0, height, width, 0, 0)


@dataclass(frozen=True)
class DnTile:
    """One tile as it is read and written, DN of one dtype.

    PAN `(height, width)`, whose rows may lie apart, and MS `(bands, ...)` of the window, `product` `(bands,
    core_height, core_width)`. `shrunk` is the PAN in `units` at the samples of MS, without the axis of bands;
    None where nothing is injected. DN equal to their marker of NoData are taken as 0 before anything is
    interpolated or injected: an average pixel in scene units.
    """

    shape: TileShape
    rows: AxisTaps
    cols: AxisTaps
    pan: NDArray[Any]
    ms: NDArray[Any]
    product: NDArray[Any]
    units: SceneUnits
    pan_nodata: float | None
    ms_nodata: float | None
    shrunk: Float32 | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for units that cannot be made."""
        if self.units.injects and self.shrunk is None:
            raise ValueError("units that inject detail of the PAN need the shrunk PAN")


@runtime_checkable
class TileBackend(Engine, Protocol):
    """An engine that takes tiles from DN to DN by itself, without a float image of the whole."""

    def tile_arena_bytes(self, shape: TileShape, rows: AxisTaps, cols: AxisTaps) -> int:
        """Scratch for one tile of that shape; it does not depend on the phases."""
        ...

    def fuse_tile(self, tile: DnTile, affines: Float32, arena: NDArray[np.uint8]) -> None:
        """Fill `tile.product`. A network's DN are those of `fill_images`, `fuse` and `quantise` in turn."""
        ...
