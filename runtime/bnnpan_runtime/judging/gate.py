"""Quality on board: each block of a product is judged when it is complete, and made again if it fails.

A block of the product's file is the unit, not a tile: as blocks are the same for every tiling, tile size,
threads and interruptions change neither a figure nor, where blocks fall back, a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.calibrate import SceneConstants, calibration_bytes
from bnnpan_runtime.classical.calibrate import calibrate
from bnnpan_runtime.classical.engine import ClassicalEngine
from bnnpan_runtime.contract import Recipe, SceneQuality, Window
from bnnpan_runtime.graph.protocol import DnTile
from bnnpan_runtime.judging.hqnr import Hqnr, QualitySums, low_pass, whole_corners
from bnnpan_runtime.memory import allocate, allocated_bytes
from bnnpan_runtime.product import block_file
from bnnpan_runtime.product.mask import is_nodata
from bnnpan_runtime.product.mosaic import Inspection
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.tiles import tile_around
from bnnpan_runtime.units import Pixels, mark_nodata
from bnnpan_runtime.worker import Layout, ShrinkBench, Slot, tile_layout

__all__ = ["Judging", "QualityGate", "gate_bytes"]

Tell = Callable[[Window, Hqnr, bool], None]
"""Told of every judged block: where it is, its figures, and whether it is made again."""

_FELL_BACK = b"\1"
_KEPT = b"\0"


@dataclass(frozen=True)
class Judging:
    """What is asked of a product's quality.

    measure   measure it
    min_hqnr  make blocks below that again by the classical method; measures, too
    """

    measure: bool = False
    min_hqnr: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return self.measure or self.min_hqnr is not None


class QualityGate:
    """Judges the blocks of one product, in the thread that reads and writes."""

    def __init__(
        self, scene: Scene, recipe: Recipe, constants: SceneConstants, min_hqnr: float | None, tell: Tell
    ) -> None:
        """`constants` are used if the recipe is the classical method itself; nothing stands in for that."""
        self._scene, self._tell = scene, tell
        self._taps = low_pass(int(scene.grid.ratio))
        self._min_hqnr = None if isinstance(recipe, ClassicalEngine) else min_hqnr
        self._asked, self._total, self._fell_back = min_hqnr, QualitySums.none(scene.bands), 0
        self._engine = _engine(scene, recipe)
        same = isinstance(recipe, ClassicalEngine)
        self._constants = constants if same else calibrate(scene, self._engine)
        layout = _layout(scene, self._engine)
        self._slot, self._shrink = Slot(layout), ShrinkBench(layout)
        self._arena: NDArray[np.uint8] = allocate(*layout.engine["arena"])
        self._judged = 0

    def inspect(self, area: Window, pixels: Pixels) -> Inspection:
        """Judge a block; a failing one gets the pixels of the classical method."""
        scene = self._scene
        absent = None if scene.nodata is None else is_nodata(pixels, scene.nodata)
        corners = whole_corners((area.height, area.width), absent, self._taps)
        if not corners:
            return Inspection(False, self._counted(QualitySums.none(scene.bands), False))
        self._read(area)
        planes = self._planes(area)
        sums = self._sums(planes, pixels, corners)
        figures = sums.figures
        fails = figures is not None and self._min_hqnr is not None and figures.hqnr < self._min_hqnr
        if figures is not None:
            self._tell(area, figures, fails)
        if fails:
            self._make_again(pixels)
            sums = self._sums(planes, pixels, corners)
        return Inspection(fails, self._counted(sums, fails))

    def restore(self, notes: Iterable[bytes]) -> None:
        """Count the blocks that an interrupted run has finished."""
        for note in notes:
            self._count(QualitySums.decode(note[1:], self._scene.bands), note[:1] == _FELL_BACK)

    @staticmethod
    def note_bytes(scene: Scene) -> int:
        """Length of the notes that blocks get."""
        return 1 + QualitySums.encoded_bytes(scene.bands)

    @property
    def scene_quality(self) -> SceneQuality:
        """Of all blocks so far, as they are now in the product."""
        figures = self._total.figures
        return SceneQuality(
            d_lambda=None if figures is None else figures.d_lambda,
            d_s=None if figures is None else figures.d_s,
            hqnr=None if figures is None else figures.hqnr,
            min_hqnr=self._asked,
            blocks=self._judged,
            blocks_fell_back=self._fell_back,
        )

    def _read(self, area: Window) -> None:
        scene, slot = self._scene, self._slot
        shape = (scene.height, scene.width)
        tile = tile_around(area, 0, shape, (slot.pan.shape[0], slot.pan.shape[1]), 0)
        slot.read(scene, self._engine.resampler, tile)

    def _planes(self, area: Window) -> tuple[NDArray[np.float32], ...]:
        """PAN, LMS and PAN at MS resolution of the block that was read, in DN."""
        bands, units = self._scene.bands, self._constants.units
        pan = np.empty((area.height, area.width), np.float32)
        others = np.empty((bands + 1, area.height, area.width), np.float32)
        for strip in self._engine.observe(self._tile(), self._arena):
            pan[strip.rows] = strip.pan
            others[:, strip.rows] = strip.planes
        pan += np.float32(units.pan_offset)
        others += np.array([*units.ms_offset, units.pan_offset], np.float32)[:, None, None]
        return pan, others[:-1], others[-1]

    def _sums(
        self, planes: tuple[NDArray[np.float32], ...], pixels: Pixels, corners: list[tuple[int, int]]
    ) -> QualitySums:
        pan, lms, smooth = planes
        return QualitySums.of((pan, lms, smooth, pixels.astype(np.float32)), corners, self._taps)

    def _make_again(self, pixels: Pixels) -> None:
        """The block that was read, by the classical method, with NoData where it is."""
        slot, nodata = self._slot, self._scene.nodata
        self._engine.fuse_tile(self._tile(), self._constants.affines, self._arena)
        if nodata is not None:
            absent = np.stack([is_nodata(band[None], nodata) for band in pixels])
            mark_nodata(slot.product, absent, nodata)
        np.copyto(pixels, slot.product)

    def _tile(self) -> DnTile:
        scene, units = self._scene, self._constants.units
        shrunk = self._shrink.shrunk(self._slot, units, scene.pan_nodata)
        return self._slot.dn_tile(scene, self._engine.resampler, units, shrunk)

    def _counted(self, sums: QualitySums, fell_back: bool) -> bytes:
        """The note of a block that is now counted."""
        self._count(sums, fell_back)
        return (_FELL_BACK if fell_back else _KEPT) + sums.encode()

    def _count(self, sums: QualitySums, fell_back: bool) -> None:
        self._total += sums
        self._judged += sums.blocks > 0
        self._fell_back += fell_back


def gate_bytes(scene: Scene, recipe: Recipe) -> int:
    """What a gate takes at most: its calibration, or afterwards its buffers."""
    engine = _engine(scene, recipe)
    layout = _layout(scene, engine)
    side = block_file.BLOCK
    pixels = min(side, scene.height) * min(side, scene.width)
    # PAN, LMS, PAN at MS resolution, product, one band as MS sees it and two sums of taps, one of NoData.
    images = 4 * pixels * (2 * scene.bands + 6)
    # Blocks of all LMS, of one band of the product before and after the MTF, of both PAN, and two products.
    blocks = 8 * pixels * (scene.bands + 6)
    dn = pixels * scene.bands * np.dtype(scene.dtype).itemsize
    judging = layout.slot_bytes + allocated_bytes(layout.engine) + allocated_bytes(layout.shrink)
    calibration = engine.calibration
    patches = calibration_bytes(scene, engine, engine.resampler)
    patches += engine.calibration_bytes(calibration.count, calibration.patch)
    return max(judging + images + blocks + dn, patches)


def _engine(scene: Scene, recipe: Recipe) -> ClassicalEngine:
    if isinstance(recipe, ClassicalEngine):
        return recipe
    return ClassicalEngine(scene.grid, scene.bands, recipe.phase, recipe.calibration)


def _layout(scene: Scene, engine: ClassicalEngine) -> Layout:
    """Buffers for one block."""
    return tile_layout(scene, engine.resampler, engine, block_file.BLOCK, engine.halo, engine.shrinks_pan)
