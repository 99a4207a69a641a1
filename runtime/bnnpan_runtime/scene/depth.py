"""How many bits the DN of a scene use: what a network is fed as 1 that takes DN over the bit depth."""

from __future__ import annotations

import logging

from bnnpan_runtime.contract import Manifest
from bnnpan_runtime.errors import MismatchError, SceneError
from bnnpan_runtime.scene.pair import Scene

__all__ = ["dn_scale"]

_log = logging.getLogger(__name__)

_LARGEST_DEPTH = {"uint16": 16, "int16": 15, "float32": 24}
"""Bits that a dtype holds exactly."""


def dn_scale(scene: Scene, wanted: int | None, manifest: Manifest | None) -> float:
    """Largest DN of the bit depth."""
    dtype = scene.dtype
    if dtype == "uint8":
        if wanted not in (None, 8):
            raise SceneError(
                f"a bit depth of {wanted} was asked for, the scene is uint8 and has 8 bits; leave it out"
            )
        return 255.0
    most = _LARGEST_DEPTH[dtype]
    depth = _declared_depth(scene) if wanted is None else wanted
    if depth is None and manifest is not None:
        if dtype == "float32" and manifest.units == "bit_depth":
            raise MismatchError(
                f"{scene.pan.name}: float32 pixels do not tell the bit depth that bundle {manifest.id} needs;"
                " say with --bit-depth of how many bits the DN are, or use a bundle in scene units"
            )
        depth = min(manifest.bit_depth, most)
    depth = most if depth is None else depth
    if not 1 <= depth <= most:
        raise SceneError(f"a bit depth of {depth} was asked for, {dtype} scenes have 1 to {most} bits")
    return float(2**depth - 1)


def _declared_depth(scene: Scene) -> int | None:
    """Bits that the files of integers say they use, the largest of them."""
    if scene.dtype == "float32":
        return None
    said = [
        part.dataset.tags(part.bands[0], ns="IMAGE_STRUCTURE").get("NBITS")
        for part in (*scene.pan.parts, *scene.ms.parts)
    ]
    depths = [int(text) for text in said if text is not None and text.isdecimal()]
    if len(depths) < len(said):
        return None
    depth = max(depths)
    _log.info("%s: %d bits, as the files declare", scene.pan.name, depth)
    return depth
