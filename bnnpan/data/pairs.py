"""Reduced-resolution pairs from a data manifest: what the network is trained and validated on.

A manifest is a JSON file `{"items": [...]}` next to its GeoTIFF files. Each item states

- `name` (its part before the first underscore is the item's *kind*, the unit of sampling weights), `sensor`;
- `split`: "train", "val" or "test"; `use`: binding text, trained on only if it begins with "training";
- `files`: `ms`, and `pan` unless there is none; `gt` where inputs come already degraded, with a ground truth;
  `ms10` for the four 10 m bands of Sentinel-2 (blue, green, red, NIR), which then replace `ms`;
- `band_names` in stored order, `bit_depth`, `ratio` of PAN to MS; optionally `nodata_ms`, `nodata_pan` and
  `crop`, `[row, column, height, width]` in pixels of the MS: only that ground counts.

Whatever the item's own ratio, its MS becomes the ground truth: the PAN is shrunk onto the MS grid and the
MS is degraded by the network's ratio. An item without PAN is halved first, its bands as an MS camera would
see them and, for the PAN, as a PAN camera would: a real PAN is sharper than the MS it is to become. It gets
the mean of the sharp bands, marked as simulated.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.lms import Boundary, interp23tap
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
from bnnpan.data.sensors import UNKNOWN, find_sensor
from bnnpan.data.wald import degrade_ms, degrade_ms_centred, shrink_pan
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError

__all__ = ["BGRN", "Pair", "load_pairs"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """One reduced-resolution pair in DN; arrays are `(bands, height, width)` float32 unless stated."""

    name: str
    sensor: str
    kind: str
    split: Split
    bands: tuple[str, ...]
    pan: NDArray[np.float32]
    """`(1, height, width)`, on the grid of `gt`."""
    lms: NDArray[np.float32]
    ms: NDArray[np.float32]
    """`(bands, height / ratio, width / ratio)`."""
    gt: NDArray[np.float32]
    sharp: NDArray[np.float32]
    """Bands a PAN may be mixed from: `gt`, or as sharp as a PAN where the pair's own is simulated."""
    valid: NDArray[np.bool_]
    """`(height, width)`: no nodata within reach of the filters."""
    dn_scale: float
    """DN of network unit 1: `2**bit_depth - 1`."""
    simulated_pan: bool
    lms_variants: NDArray[np.float32]
    """`(variants, bands, height, width)`: the LMS as other MTF gains would give it; may hold no variant."""
    ms_variants: NDArray[np.float32]
    """`(variants, bands, height / ratio, width / ratio)`: what they are interpolated from."""
    phase: Phase
    """Where MS samples lie on the PAN grid."""

    @property
    def ratio(self) -> int:
        """MS pixel size over PAN pixel size."""
        return self.pan.shape[1] // self.ms.shape[1]


def load_pairs(
    manifest_path: str | Path,
    split: Split,
    bands: Sequence[str] = BGRN,
    ratio: int = 4,
    phase: Phase = "centred",
    names: Sequence[str] | None = None,
    variant_gains: Sequence[float] = (),
) -> list[Pair]:
    """Pairs of one split of a manifest, in its order; items that lack a wanted band are skipped and logged.

    `names` picks items of that split, `variant_gains` are the MTF gains of `lms_variants` (training only).
    Phase "toolbox" degrades and interpolates exactly as DLPan-Toolbox, "centred" keeps true pixel centres.
    Raises `ConfigError` for a manifest that cannot be read, a name outside the split, or an item of the
    training split whose `use` does not allow training, `SceneError` for an unreadable file.
    """
    manifest_path = Path(manifest_path)
    items = read_items(manifest_path, split, names)
    if split == "train":
        _refuse_untrainable(items)
    pairs = []
    for item in items:
        stored = stored_bands(item)
        missing = [band for band in bands if band not in stored]
        if missing:
            log.warning("%s skipped: it has no band %s", item["name"], ", ".join(missing))
            continue
        pairs.append(_load_pair(manifest_path.parent, item, tuple(bands), ratio, phase, variant_gains))
    return pairs


def _refuse_untrainable(items: list[dict[str, Any]]) -> None:
    for item in items:
        if not item["use"].startswith("training"):
            raise ConfigError(
                f"{item['name']} must not be trained on (use: {item['use']}): give it another split"
            )


def _load_pair(
    folder: Path,
    item: dict[str, Any],
    bands: tuple[str, ...],
    ratio: int,
    phase: Phase,
    variant_gains: Sequence[float],
) -> Pair:
    stored = stored_bands(item)
    order = [stored.index(band) for band in bands]
    gains = [find_sensor(item.get("sensor", "")).gains(len(stored))[index] for index in order]
    gt, pan, given_ms, valid = _read_item(folder, item, order)
    sharp = gt
    if pan is None:
        gt, sharp, valid = _halve(gt, valid)
    if given_ms is not None:
        phase = "toolbox"  # published degraded data follow the toolbox
    gt, sharp, valid = _crop(gt, ratio), _crop(sharp, ratio), _crop(valid, ratio)
    pan = sharp.mean(axis=0, keepdims=True) if pan is None else _crop(pan, ratio)
    ms = _degrade(gt, gains, ratio, phase) if given_ms is None else given_ms
    variants = [_degrade(gt, [gain] * len(gt), ratio, phase) for gain in variant_gains]
    return Pair(
        name=item["name"],
        sensor=item.get("sensor", ""),
        kind=item["name"].split("_")[0],
        split=item["split"],
        bands=bands,
        pan=pan.astype(np.float32),
        lms=_interpolate(ms, ratio, phase).astype(np.float32),
        ms=ms.astype(np.float32),
        gt=gt.astype(np.float32),
        sharp=sharp.astype(np.float32),
        valid=away_from_nodata(valid, ratio),
        dn_scale=float(2 ** item["bit_depth"] - 1),
        simulated_pan="pan" not in item["files"],
        lms_variants=np.array(
            [_interpolate(variant, ratio, phase) for variant in variants], np.float32
        ).reshape(len(variants), *gt.shape),
        ms_variants=np.array(variants, np.float32).reshape(len(variants), *ms.shape),
        phase=phase,
    )


def _read_item(
    folder: Path, item: dict[str, Any], order: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Ground truth, PAN on its grid if there is one, degraded MS if one is given, and where there is data."""
    files = item["files"]
    gt = cut(read_image(folder / (files.get("gt") or files.get("ms10") or files["ms"]))[order], item)
    valid = has_data(gt, item.get("nodata_ms"))
    if "pan" not in files:
        return gt, None, None, valid
    pan = read_image(folder / files["pan"])
    if "gt" in files:
        return gt, pan, read_image(folder / files["ms"])[order], valid
    gt, pan, valid = _onto_ms_grid(gt, cut(pan, item, int(item["ratio"])), valid, item)
    return gt, pan, None, valid


def _onto_ms_grid(
    ms: NDArray[np.float64], pan: NDArray[np.float64], valid: NDArray[np.bool_], item: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """MS, shrunk PAN and mask over the ground both files cover, corner on corner."""
    own_ratio = int(item["ratio"])
    height = min(ms.shape[1], pan.shape[1] // own_ratio)
    width = min(ms.shape[2], pan.shape[2] // own_ratio)
    pan = pan[:, : height * own_ratio, : width * own_ratio]
    has_pan = has_data(pan, item.get("nodata_pan"))
    has_pan = has_pan.reshape(height, own_ratio, width, own_ratio).all(axis=(1, 3))
    return ms[:, :height, :width], shrink_pan(pan, own_ratio), valid[:height, :width] & has_pan


def _halve(
    image: NDArray[np.float64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Bands at half the resolution through an MS camera's optics and through a PAN camera's, and the mask."""
    image, valid = _crop(image, 2), _crop(valid, 2)
    height, width = valid.shape
    whole = valid.reshape(height // 2, 2, width // 2, 2).all(axis=(1, 3))
    return degrade_ms_centred(image, UNKNOWN.gains(len(image)), 2), shrink_pan(image, 2), whole


def _crop(image: NDArray[Any], ratio: int) -> NDArray[Any]:
    height, width = (size // ratio * ratio for size in image.shape[-2:])
    return image[..., :height, :width]


def _degrade(
    gt: NDArray[np.float64], gains: Sequence[float], ratio: int, phase: Phase
) -> NDArray[np.float64]:
    return (degrade_ms if phase == "toolbox" else degrade_ms_centred)(gt, gains, ratio)


def _interpolate(ms: NDArray[np.float64], ratio: int, phase: Phase) -> NDArray[np.float64]:
    boundary: Boundary = "circular" if phase == "toolbox" else "edge"
    return interp23tap(ms, ratio, phase, boundary)
