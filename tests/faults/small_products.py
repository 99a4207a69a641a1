"""Products that take milliseconds: written by the mosaic as a run writes them, but of pixels that are known.

Blocks are small, and there is a checkpoint after every tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from bnnpan_runtime.product.journal import Identity
from bnnpan_runtime.product.mosaic import Order, check_output, open_mosaic
from bnnpan_runtime.scene import ProductFormat
from bnnpan_runtime.tiles import tiles

SIDE = 64
"""Of a block, as products have them here."""

FORM = ProductFormat(
    height=128,
    width=128,
    bands=2,
    dtype="uint16",
    nodata=0,
    crs=None,  # every forked process would open the data base of coordinate systems again
    transform=Affine(0.5, 0, 600000, 0, -0.5, 5000000),
    descriptions=("red", None),
)
IDENTITY = Identity(b"s" * 32, b"i" * 32, b"c" * 32)


@contextmanager
def small_blocks() -> Iterator[None]:
    with (
        patch("bnnpan_runtime.product.block_file.BLOCK", SIDE),
        patch("bnnpan_runtime.product.mosaic.CHECKPOINT_SECONDS", 0.0),
    ):
        yield


def picture(form: ProductFormat) -> NDArray[np.uint16]:
    """The pixels of every product here, none of them NoData."""
    return np.random.default_rng(1).integers(1, 2048, (form.bands, form.height, form.width), np.uint16)


@dataclass(frozen=True)
class Command:
    """The same command again and again."""

    order: Order = field(default_factory=lambda: Order(FORM, {"MAKER": "test"}, IDENTITY))
    tile: int = SIDE

    def run(self, out: Path) -> int:
        """Make the product; the number of tiles it did not have to make."""
        form, resumed = self.order.form, 0
        pixels = picture(form)
        check_output(out, (), self.order.overwrite)
        with small_blocks(), open_mosaic(out, self.order) as mosaic:
            for tile in tiles(form.height, form.width, self.tile, 0):
                if mosaic.has(core := tile.core):
                    resumed += 1
                    continue
                part = pixels[:, core.row : core.row + core.height, core.col : core.col + core.width]
                mosaic.write(core, part)
            mosaic.close()
            mosaic.commit()
        return resumed

    def of(self, **changes: object) -> Command:
        """The command with another order."""
        return replace(self, order=replace(self.order, **changes))


def hidden_files(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path.name.startswith("."))


def must_be_continued(out: Path) -> bool:
    """Not where only the exit code is missing: the command would refuse to replace the product."""
    return not out.exists() or bool(hidden_files(out))
