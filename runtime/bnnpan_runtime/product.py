"""What a finished product says about itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bnnpan_runtime import __version__
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.memory import MIB

__all__ = ["product_tags", "sha256_of"]


def product_tags(bundle: Bundle, backend: str) -> dict[str, str]:
    """TIFF tags that name the maker: program, network, and the digest that stands for all of its files.

    No date: the same scene and bundle give the same bytes.
    """
    return {
        "TIFFTAG_SOFTWARE": f"bnnpan-runtime {__version__}",
        "BNNPAN_BUNDLE": bundle.manifest.id,
        "BNNPAN_MANIFEST_SHA256": bundle.sha256,
        "BNNPAN_BACKEND": backend,
    }


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()
