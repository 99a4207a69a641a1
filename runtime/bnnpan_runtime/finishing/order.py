"""What is wanted of a product beside its pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

__all__ = ["Finishing", "item_path", "remove_stale", "thumbnail_path"]


@dataclass(frozen=True)
class Finishing:
    """What the last steps of a run make; docs/product.md has the files.

    cog        the product as a Cloud Optimized GeoTIFF: compressed, with overviews and statistics
    thumbnail  a small picture beside it
    stac       a STAC item beside it
    acquired   when the scene was taken, if its files do not say
    """

    cog: bool = False
    thumbnail: bool = False
    stac: bool = False
    acquired: datetime | None = None

    @property
    def looks_at_pixels(self) -> bool:
        """Whether the finished pixels are read once more."""
        return self.cog or self.thumbnail or self.stac


def thumbnail_path(product: Path) -> Path:
    """Where the thumbnail of a product lies."""
    return product.with_name(f"{product.stem}.thumbnail.jpg")


def item_path(product: Path) -> Path:
    """Where the STAC item of a product lies."""
    return product.with_name(f"{product.stem}.stac.json")


def remove_stale(product: Path, kept: Collection[Path | None]) -> None:
    """Before a product is replaced, remove what lies beside it and is not of the new one. Raises OSError."""
    if product.exists():
        for path in (thumbnail_path(product), item_path(product)):
            if path not in kept:
                path.unlink(missing_ok=True)
