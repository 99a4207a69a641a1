"""The STAC item beside a product, written before the product gets its name: who sees this one sees both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bnnpan_runtime.durable_file import write_file

if TYPE_CHECKING:
    from bnnpan_runtime.contract import FuseReport
    from bnnpan_runtime.finishing.finish import Finished
    from bnnpan_runtime.finishing.order import Finishing
    from bnnpan_runtime.method import Method
    from bnnpan_runtime.product.mosaic import Mosaic

__all__ = ["write_item"]

_GEOTIFF = "image/tiff; application=geotiff"


def write_item(
    path: Path, mosaic: Mosaic, method: Method, report: FuseReport, made: Finished, wanted: Finishing
) -> None:
    """Write the item of a closed mosaic. Raises OSError or OutputError."""
    from bnnpan_runtime.stac.product import Asset, product_item  # brings coordinate systems

    product = mosaic.path
    kind = _GEOTIFF + "; profile=cloud-optimized" * wanted.cog
    assets = [Asset("product", product, made.file, kind, "Pan-sharpened bands", ("data",))]
    if made.thumbnail is not None:
        picture = made.thumbnail
        assets.append(Asset("thumbnail", picture, picture, "image/jpeg", "Thumbnail", ("thumbnail",)))
    mask = mosaic.sheets.mask
    if mask is not None and report.mask is not None:
        title = "What each pixel is from"
        assets.append(Asset("mask", Path(report.mask), mask.path, _GEOTIFF, title, ("metadata",)))
    item = product_item(method, report, assets, made.statistics or (), wanted.acquired)
    write_file(path, json.dumps(item, indent=2, allow_nan=False).encode() + b"\n")
