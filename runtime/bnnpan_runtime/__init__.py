"""bnnpan on board: a raw scene becomes a sharp product within a promised memory budget.

    import bnnpan_runtime as bnnpan
    report = bnnpan.fuse("pan.tif", "ms.tif", "bgrn-x4", "product.tif", memory="128MiB")
    product = bnnpan.fuse(pan_array, ms_array, "bgrn-x4")

Importing the package costs nothing; what a name needs is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnnpan_runtime.arrays import FusedTile, FusedTiles, fuse, fuse_tiles, plan
    from bnnpan_runtime.bundle import Bundle

__all__ = ["Bundle", "FusedTile", "FusedTiles", "__version__", "fuse", "fuse_tiles", "plan"]

__version__ = "0.1.0"

_HOME = {
    "Bundle": "bnnpan_runtime.bundle",
    **dict.fromkeys(("FusedTile", "FusedTiles", "fuse", "fuse_tiles", "plan"), "bnnpan_runtime.arrays"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
