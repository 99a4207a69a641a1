"""The products' folder as a STAC collection: `collection.json`, and the item beside each product."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bnnpan_archive.errors import needs_extra
from bnnpan_archive.item import item_of
from bnnpan_archive.job import Order
from bnnpan_archive.result import Result
from bnnpan_archive.scene import safe_name
from bnnpan_runtime.durable_file import write_file

with needs_extra("STAC collections"):
    import pystac

__all__ = ["write_collection"]

_EVERYWHERE = pystac.Extent(
    pystac.SpatialExtent([[-180.0, -90.0, 180.0, 90.0]]), pystac.TemporalExtent([[None, None]])
)
"""Of a collection of which nothing is known."""


class _WholeFiles(pystac.stac_io.DefaultStacIO):
    """Writes files that are there whole or not at all."""

    def write_text_to_href(self, href: str, txt: str) -> None:
        """Put a text under its name in one step. Raises OutputError."""
        write_file(Path(href), txt.encode())


def write_collection(order: Order, results: Iterable[Result]) -> Path:
    """Write the collection of all products there are; the same results give the same files."""
    archive = Path(order.archive)
    jobs = {job.scene.name: job for job in order.jobs()}
    items = [item_of(jobs[result.scene]) for result in results if not result.failed]
    placed = [item for item in items if item.bbox is not None]
    collection = pystac.Collection(
        id=safe_name(archive.name),
        title=f"Pan-sharpened scenes of {Path(order.catalog).name}",
        description=f"Products of `bnnpan archive run` with the bundle {Path(order.options.bundle).name}.",
        extent=pystac.Extent.from_items(placed) if placed else _EVERYWHERE,
        license="other",
    )
    for item in items:
        collection.add_item(item)
        item.set_self_href(str(jobs[item.id].item))
    collection.set_self_href(str(archive / "collection.json"))
    collection.save(pystac.CatalogType.SELF_CONTAINED, stac_io=_WholeFiles())
    return archive / "collection.json"
