"""The STAC item of a product: what `bnnpan fuse --stac` has written, with what the archive knows."""

from __future__ import annotations

from pathlib import Path

from bnnpan_archive.errors import needs_extra
from bnnpan_archive.job import Job
from bnnpan_runtime.errors import ConfigError, one_line

with needs_extra("STAC collections"):
    import pystac

__all__ = ["item_of"]


def item_of(job: Job) -> pystac.Item:
    """The product's item, with its record, and a link to the item it was made from. Raises ConfigError."""
    item = _read(job.item)
    item.add_asset("result", pystac.Asset("./result.json", media_type="application/json", roles=["metadata"]))
    if job.scene.item is not None and Path(job.scene.item).is_file():
        source = _read(Path(job.scene.item))
        known = {link.get_absolute_href() for link in item.get_links("derived_from")}
        if source.get_self_href() not in known:
            item.add_link(pystac.Link("derived_from", source, "application/geo+json"))
    return item


def _read(path: Path) -> pystac.Item:
    try:
        return pystac.Item.from_file(str(path))
    except Exception as error:  # pystac lets through whatever a damaged file makes of its code
        raise ConfigError(
            f"{path}: not a STAC item ({one_line(error)}); remove it, and run the archive again"
        ) from error
