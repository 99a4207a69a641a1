"""What each pixel of a product is from: the classes of its mask, and how the mask's file says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.memory import allocate, allocated_bytes
from bnnpan_runtime.product.block_file import BLOCK
from bnnpan_runtime.radiometry.corrected import CorrectedScene
from bnnpan_runtime.radiometry.saturation import FilledTile, saturated_rows
from bnnpan_runtime.scene import ProductFormat, Scene
from bnnpan_runtime.units import Pixels

__all__ = [
    "Classifier",
    "MaskOrder",
    "PixelClass",
    "by_classical_method",
    "classifier_bytes",
    "describe_classes",
    "is_nodata",
    "mask_form",
]

Classes = NDArray[np.uint8]

_ROWS = 64
"""Looked at together, so that comparisons stay small; those of `saturated_rows`."""


class PixelClass(IntEnum):
    """DN of a mask; where several hold, the last one."""

    MISSING = 0
    NETWORK = 1
    CLASSICAL = 2
    SATURATED = 3
    NODATA = 4

    @property
    def meaning(self) -> str:
        """In words, as in the mask's file."""
        return _MEANINGS[self]

    @property
    def colour(self) -> tuple[int, int, int]:
        """Red, green, blue in the mask's colour table."""
        return _COLOURS[self]


_MEANINGS = {
    PixelClass.MISSING: "missing: not computed before the deadline",
    PixelClass.NETWORK: "fused by the network",
    PixelClass.CLASSICAL: "fused by the classical method",
    PixelClass.SATURATED: "fused from a saturated input",
    PixelClass.NODATA: "without data in at least one band",
}
_COLOURS = {
    PixelClass.MISSING: (128, 128, 128),
    PixelClass.NETWORK: (44, 123, 182),
    PixelClass.CLASSICAL: (253, 174, 97),
    PixelClass.SATURATED: (215, 25, 28),
    PixelClass.NODATA: (0, 0, 0),
}


@dataclass(frozen=True)
class MaskOrder:
    """Where a mask is to go."""

    path: Path


def mask_form(form: ProductFormat) -> ProductFormat:
    """The form of the mask of a product. Nothing is written where a class is `MISSING`, which is 0."""
    return replace(
        form,
        bands=1,
        dtype="uint8",
        nodata=None,
        descriptions=("what the pixel is from",),
        scales=(),
        offsets=(),
        units=(),
        tags={},
    )


class FusedTile(FilledTile, Protocol):
    """A tile with its product, too; the `Slot` of a worker is one."""

    product: Pixels


class Classifier:
    """Makes the classes of one tile after another."""

    def __init__(self, scene: Scene, tile: int, made_by: PixelClass) -> None:
        self._scene, self._made_by = scene, made_by
        self._buffer: Classes = allocate(*_buffer(scene, tile))

    def classes(self, fused: FusedTile) -> Classes:
        """Classes of a tile's core, `(1, height, width)`, valid until the next."""
        core, nodata = fused.tile.core, self._scene.nodata
        classes = self._buffer[: core.height * core.width].reshape(1, core.height, core.width)
        for rows, saturated in _saturated(self._scene, fused):
            part = classes[0, rows]
            part[...] = self._made_by
            if saturated is not None:
                part[saturated] = PixelClass.SATURATED
            if nodata is not None:
                part[is_nodata(fused.product[:, rows], nodata)] = PixelClass.NODATA
        return classes


def classifier_bytes(scene: Scene, tile: int) -> int:
    """Memory of the mask of a product: its tile and some rows of comparisons, two blocks of its file."""
    rows = 4 * _ROWS * min(tile, scene.width)
    return allocated_bytes({"classes": _buffer(scene, tile)}) + rows + 2 * BLOCK**2


def _buffer(scene: Scene, tile: int) -> tuple[tuple[int], type[np.uint8]]:
    return (min(tile, scene.height) * min(tile, scene.width),), np.uint8


def by_classical_method(classes: Classes) -> None:
    """Change classes in place where a block is made again by the classical method."""
    classes[classes == PixelClass.NETWORK] = PixelClass.CLASSICAL


def is_nodata(product: Pixels, nodata: float) -> NDArray[np.bool_]:
    """Where a product `(bands, height, width)` has no data in at least one band: `(height, width)`."""
    absent = np.zeros(product.shape[1:], np.bool_)
    for band in product:
        absent |= np.isnan(band) if np.isnan(nodata) else band == nodata
    return absent


def _saturated(scene: Scene, filled: FilledTile) -> Iterator[tuple[slice, NDArray[np.bool_] | None]]:
    """The rows of a core, some at a time, and where they are saturated; None where nothing tells."""
    if isinstance(scene, CorrectedScene):
        top = 0
        for saturated in saturated_rows(scene, filled):
            yield slice(top, top + len(saturated)), saturated
            top += len(saturated)
        if top:
            return
    for top in range(0, filled.tile.core.height, _ROWS):
        yield slice(top, min(top + _ROWS, filled.tile.core.height)), None


def describe_classes(raster: Any) -> None:
    """Colours and meanings into a new mask, open for writing."""
    raster.write_colormap(1, {int(one): one.colour for one in PixelClass})
    raster.update_tags(1, **{f"CLASS_{int(one)}": one.meaning for one in PixelClass})
