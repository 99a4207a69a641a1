"""A data manifest over one synthetic scene, for tests that train."""

from __future__ import annotations

import json
from pathlib import Path


def write_manifest(folder: Path) -> Path:
    """Manifest of the `pan.tif` and `ms.tif` in a folder, as one training and one validation item."""
    items = [_item(split) for split in ("train", "val")]
    path = folder / "manifest.json"
    path.write_text(json.dumps({"items": items}))
    return path


def _item(split: str) -> dict[str, object]:
    return {
        "name": f"synthetic_{split}",
        "sensor": "synthetic",
        "split": split,
        "use": "training and evaluation",
        "ratio": 4,
        "bit_depth": 11,
        "band_names": ["blue", "green", "red", "nir"],
        "files": {"pan": "pan.tif", "ms": "ms.tif"},
    }
