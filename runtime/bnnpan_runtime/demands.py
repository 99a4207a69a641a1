"""What may be asked of a run besides a product: a mask, a certain quality, an end in time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Plan, Recipe, SceneQuality, Tile, Window
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.finishing.order import item_path, thumbnail_path
from bnnpan_runtime.judging.gate import Judging, QualityGate, Tell, gate_bytes
from bnnpan_runtime.method import Method
from bnnpan_runtime.product.mask import Classifier, MaskOrder, PixelClass, classifier_bytes
from bnnpan_runtime.product.mosaic import check_output, is_under_way
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.scene.placing import part_of
from bnnpan_runtime.tiles import tile_count
from bnnpan_runtime.urgency.deadline import Urgency
from bnnpan_runtime.urgency.priority import first_tiles, priority_bytes

__all__ = ["LATE_BYTES", "Demands", "late_tags"]

LATE_BYTES = 512
"""Room for `late_tags` in every product, asked for or not: one that a deadline has cut short, and that is
completed without, is then the same file."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demands:
    """All that is asked of one run."""

    mask: Path | None = None
    judging: Judging = Judging()  # noqa: RUF009  # frozen
    urgency: Urgency = Urgency()  # noqa: RUF009  # frozen

    @property
    def identity(self) -> Mapping[str, Any]:
        """What of it shapes the files of the run."""
        wanted = self.judging.wanted
        return {"mask": self.mask is not None, "judged": wanted, "min_hqnr": self.judging.min_hqnr}

    def check_mask(self, product: Path, inputs: tuple[Path, ...], overwrite: bool) -> None:
        """Raise OutputError if the mask cannot be put where it is to go."""
        if self.mask is None:
            return
        beside = {product: "product", thumbnail_path(product): "thumbnail", item_path(product): "STAC item"}
        for path, kind in beside.items():
            if self.mask.resolve() == path.resolve():
                raise OutputError(f"{path} cannot be {kind} and mask; give the mask a file of its own")
        # A product that is gone on with may have left its mask.
        check_output(self.mask, inputs, overwrite or is_under_way(product))

    @property
    def mask_order(self) -> MaskOrder | None:
        """Where a mask is to go."""
        return None if self.mask is None else MaskOrder(self.mask)

    def terms(self, scene: Scene, recipe: Recipe, tile: int) -> dict[str, int]:
        """Memory that it takes, by name."""
        terms: dict[str, int] = {}
        if self.mask is not None:
            terms["mask"] = classifier_bytes(scene, tile)
        if self.judging.wanted:
            terms["quality"] = gate_bytes(scene, recipe)
        if self.urgency.orders:
            terms["order"] = priority_bytes(scene, tile_count(scene.height, scene.width, tile))
        return terms

    def note_bytes(self, scene: Scene) -> int:
        """What a journal has to keep of each block."""
        return QualityGate.note_bytes(scene) if self.judging.wanted else 0

    def gate(self, method: Method, constants: SceneConstants, tell: Tell) -> QualityGate | None:
        """What judges the blocks of the product. Raises SceneError."""
        if not self.judging.wanted:
            return None
        return QualityGate(method.scene, method.recipe, constants, self.judging.min_hqnr, tell)

    def classifier(self, method: Method, plan: Plan) -> Classifier | None:
        """What makes the classes of the mask."""
        if self.mask is None:
            return None
        made_by = PixelClass.NETWORK if method.name == "network" else PixelClass.CLASSICAL
        return Classifier(method.scene, plan.tile, made_by)

    def first_area(self, scene: Scene) -> Window | None:
        """What is to come first, in pixels of PAN's file. Raises SceneError."""
        return part_of(scene.pan.first, self.urgency.extent, self.urgency.window)

    def order(self, scene: Scene, plan: Plan) -> list[Tile] | None:
        """The tiles in the order of their worth; None for row by row. Raises SceneError."""
        area = scene.area
        if not self.urgency.orders:
            return None
        wanted = self.first_area(scene)
        if wanted is not None:
            wanted = wanted.moved(-area.row, -area.col)
            if not wanted.touches(Window(0, 0, scene.height, scene.width)):
                _log.warning("what should come first lies outside the product; tiles come by their worth")
        return first_tiles(scene, plan, wanted)


def late_tags(quality: SceneQuality | None, missing_pixels: int, pixels: int) -> dict[str, str]:
    """What a product says of itself when all its blocks are there, or as many as there will be."""
    tags: dict[str, str] = {}
    if missing_pixels:
        tags["BNNPAN_MISSING"] = f"{missing_pixels} of {pixels} pixels"
    if quality is None:
        return tags
    figures = {"D_LAMBDA": quality.d_lambda, "D_S": quality.d_s, "HQNR": quality.hqnr}
    tags |= {f"BNNPAN_{name}": f"{figure:.6f}" for name, figure in figures.items() if figure is not None}
    if quality.min_hqnr is not None:
        tags["BNNPAN_MIN_HQNR"] = str(quality.min_hqnr)
    tags["BNNPAN_JUDGED_BLOCKS"] = str(quality.blocks)
    tags["BNNPAN_FELL_BACK_BLOCKS"] = str(quality.blocks_fell_back)
    return tags
