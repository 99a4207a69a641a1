"""What a finished product says about itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bnnpan_runtime import __version__
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.method import Method

__all__ = ["product_tags", "sha256_of"]


def product_tags(method: Method) -> dict[str, str]:
    """TIFF tags that name the maker: program, network or classical method, and what computed it.

    No date: the same scene and bundle give the same bytes.
    """
    return {
        "TIFFTAG_SOFTWARE": f"bnnpan-runtime {__version__}",
        **method.tags,
        "BNNPAN_BACKEND": method.engine.name,
    }


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()
