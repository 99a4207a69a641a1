"""Full-resolution pairs from a data manifest: real PAN and MS as they are, which have no ground truth."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.lms import interp23tap
from bnnpan.data.manifest import (
    BGRN,
    Split,
    away_from_nodata,
    cut,
    has_data,
    read_image,
    read_items,
    stored_bands,
)
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError

__all__ = ["FullPair", "load_full_pairs"]

log = logging.getLogger(__name__)

_BLOCK = 32  # PAN pixels; the metrics at full resolution are made of whole blocks


@dataclass(frozen=True)
class FullPair:
    """One real pair in DN; arrays are `(bands, height, width)` float64 unless stated."""

    name: str
    sensor: str
    bands: tuple[str, ...]
    pan: NDArray[np.float64]
    """`(1, height, width)`."""
    lms: NDArray[np.float64]
    ms: NDArray[np.float64]
    """`(bands, height / ratio, width / ratio)`."""
    valid: NDArray[np.bool_]
    """`(height, width)`: no nodata within reach of the filters."""
    dn_scale: float
    """DN of network unit 1: `2**bit_depth - 1`."""


def load_full_pairs(
    manifest_path: str | Path,
    split: Split,
    bands: Sequence[str] = BGRN,
    ratio: int = 4,
    phase: Phase = "toolbox",
    names: Sequence[str] | None = None,
) -> list[FullPair]:
    """Pairs of one split of a manifest that have a PAN of this ratio and these bands, in its order.

    The others are skipped and logged; so are items that come degraded. `names` picks items, `phase` says how
    the LMS is interpolated. Pairs start at the upper left corner and end at the last whole block of 32 PAN
    pixels (MS cropped to a multiple of 8 at ratio 4), as the toolbox wants them. Raises `ConfigError` and
    `SceneError` as `load_pairs`, and `SceneError` for a pair without a whole block.
    """
    manifest_path = Path(manifest_path)
    items = read_items(manifest_path, split, names)
    pairs = []
    for item in items:
        reason = _obstacle(item, bands, ratio)
        if reason:
            log.warning("%s skipped at full resolution: %s", item["name"], reason)
        else:
            pairs.append(_load(manifest_path.parent, item, tuple(bands), ratio, phase))
    return pairs


def _obstacle(item: dict[str, Any], bands: Sequence[str], ratio: int) -> str:
    """Why an item is no pair of this kind; empty if it is."""
    if "pan" not in item["files"]:
        return "it has no PAN"
    if "gt" in item["files"]:
        return "it comes degraded"
    if item.get("ratio") != ratio:
        return f"its ratio is {item.get('ratio')}, not {ratio}"
    missing = [band for band in bands if band not in stored_bands(item)]
    return f"it has no band {', '.join(missing)}" if missing else ""


def _load(folder: Path, item: dict[str, Any], bands: tuple[str, ...], ratio: int, phase: Phase) -> FullPair:
    order = [stored_bands(item).index(band) for band in bands]
    ms = cut(read_image(folder / item["files"]["ms"])[order], item)
    pan = cut(read_image(folder / item["files"]["pan"]), item, ratio)
    unit = math.lcm(_BLOCK, ratio) // ratio
    height, width = (
        min(coarse, fine // ratio) // unit * unit
        for coarse, fine in zip(ms.shape[1:], pan.shape[1:], strict=True)
    )
    if not height or not width:
        raise SceneError(f"{item['name']}: less than {_BLOCK} x {_BLOCK} PAN pixels: use a larger scene")
    ms, pan = ms[:, :height, :width], pan[:, : height * ratio, : width * ratio]
    ms_valid = has_data(ms, item.get("nodata_ms"))
    valid = ms_valid.repeat(ratio, axis=0).repeat(ratio, axis=1) & has_data(pan, item.get("nodata_pan"))
    return FullPair(
        name=item["name"],
        sensor=item.get("sensor", ""),
        bands=bands,
        pan=pan,
        lms=interp23tap(ms, ratio, phase),
        ms=ms,
        valid=away_from_nodata(valid, ratio),
        dn_scale=float(2 ** item["bit_depth"] - 1),
    )
