"""Reduced-resolution pairs from a data manifest: what the network is trained and validated on.

A manifest is a JSON file `{"items": [...]}` next to its GeoTIFF files. Each item states

- `name` (its part before the first underscore is the item's *kind*, the unit of sampling weights), `sensor`;
- `split`: "train", "val" or "test"; `use`: binding text, trained on only if it says "training";
- `files`: `ms`, and `pan` unless there is none; `gt` where inputs come already degraded, with a ground truth;
  `ms10` for the four 10 m bands of Sentinel-2 (blue, green, red, NIR), which then replace `ms`;
- `band_names` in stored order, `bit_depth`, `ratio` of PAN to MS, optionally `nodata_ms` and `nodata_pan`.

Whatever the item's own ratio, its MS becomes the ground truth: the PAN is shrunk onto the MS grid and the
MS is degraded by the network's ratio. An item without PAN gets the mean of its bands, marked as simulated.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scipy.ndimage import binary_erosion

from bnnpan.data.lms import Boundary, interp23tap
from bnnpan.data.sensors import find_sensor
from bnnpan.data.wald import degrade_ms, degrade_ms_centred, shrink_pan
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError, SceneError

__all__ = ["BGRN", "Pair", "load_pairs"]

log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]
BGRN = ("blue", "green", "red", "nir")
_VALID_MARGIN = 3  # low-resolution pixels around nodata that filter and interpolation visibly reach


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
    valid: NDArray[np.bool_]
    """`(height, width)`: no nodata within reach of the filters."""
    dn_scale: float
    """DN of network unit 1: `2**bit_depth - 1`."""
    simulated_pan: bool
    lms_variants: NDArray[np.float32]
    """`(variants, bands, height, width)`: the LMS as other MTF gains would give it; may hold no variant."""


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
    items = [item for item in _read_manifest(manifest_path) if item.get("split") == split]
    if names is not None:
        items = _pick(items, names, split)
    if split == "train":
        _refuse_untrainable(items)
    pairs = []
    for item in items:
        stored = _stored_bands(item)
        missing = [band for band in bands if band not in stored]
        if missing:
            log.warning("%s skipped: it has no band %s", item["name"], ", ".join(missing))
            continue
        pairs.append(_load_pair(manifest_path.parent, item, tuple(bands), ratio, phase, variant_gains))
    return pairs


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    try:
        items = json.loads(path.read_text(encoding="utf-8"))["items"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no data manifest ({error!r}): give JSON with `items`") from error
    for item in items:
        for key in ("name", "split", "use", "files", "bit_depth"):
            if key not in item:
                raise ConfigError(f"{path}: item {item.get('name', '?')} does not state `{key}`: add it")
    return list(items)


def _pick(items: list[dict[str, Any]], names: Sequence[str], split: Split) -> list[dict[str, Any]]:
    by_name = {item["name"]: item for item in items}
    for name in names:
        if name not in by_name:
            raise ConfigError(f"{name} is not in the {split} split: choose from {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _refuse_untrainable(items: list[dict[str, Any]]) -> None:
    for item in items:
        if "training" not in item["use"]:
            raise ConfigError(
                f"{item['name']} must not be trained on (use: {item['use']}): give it another split"
            )


def _stored_bands(item: dict[str, Any]) -> list[str]:
    return list(BGRN) if "ms10" in item["files"] else list(item.get("band_names") or [])


def _load_pair(
    folder: Path,
    item: dict[str, Any],
    bands: tuple[str, ...],
    ratio: int,
    phase: Phase,
    variant_gains: Sequence[float],
) -> Pair:
    stored = _stored_bands(item)
    order = [stored.index(band) for band in bands]
    gains = [find_sensor(item.get("sensor", "")).gains(len(stored))[index] for index in order]
    gt, pan, given_ms, valid = _read_item(folder, item, order)
    if given_ms is not None:
        phase = "toolbox"  # published degraded data follow the toolbox
    gt, valid = _crop(gt, ratio), _crop(valid, ratio)
    pan = gt.mean(axis=0, keepdims=True) if pan is None else _crop(pan, ratio)
    ms = _degrade(gt, gains, ratio, phase) if given_ms is None else given_ms
    variants = [
        _interpolate(_degrade(gt, [gain] * len(gt), ratio, phase), ratio, phase) for gain in variant_gains
    ]
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
        valid=_erode(valid, ratio),
        dn_scale=float(2 ** item["bit_depth"] - 1),
        simulated_pan="pan" not in item["files"],
        lms_variants=np.array(variants, np.float32).reshape(len(variants), *gt.shape),
    )


def _read_item(
    folder: Path, item: dict[str, Any], order: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Ground truth, PAN on its grid if there is one, degraded MS if one is given, and where there is data."""
    files = item["files"]
    gt = _read(folder / (files.get("gt") or files.get("ms10") or files["ms"]))[order]
    valid = _has_data(gt, item.get("nodata_ms"))
    if "pan" not in files:
        return gt, None, None, valid
    pan = _read(folder / files["pan"])
    if "gt" in files:
        return gt, pan, _read(folder / files["ms"])[order], valid
    gt, pan, valid = _onto_ms_grid(gt, pan, valid, item)
    return gt, pan, None, valid


def _read(path: Path) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # training needs no coordinates
            with rasterio.open(path) as dataset:
                return np.asarray(dataset.read(), np.float64)
    except rasterio.errors.RasterioIOError as error:
        raise SceneError(f"{path} cannot be read ({error}): check the file the manifest names") from error


def _has_data(image: NDArray[np.float64], nodata: float | None) -> NDArray[np.bool_]:
    """`(height, width)`: where not all bands are nodata; 0 is nodata even if the manifest does not say so."""
    empty = image == 0 if nodata is None else (image == 0) | (image == nodata)
    return np.asarray(~empty.all(axis=0))


def _onto_ms_grid(
    ms: NDArray[np.float64], pan: NDArray[np.float64], valid: NDArray[np.bool_], item: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """MS, shrunk PAN and mask over the ground both files cover, corner on corner."""
    own_ratio = int(item["ratio"])
    height = min(ms.shape[1], pan.shape[1] // own_ratio)
    width = min(ms.shape[2], pan.shape[2] // own_ratio)
    pan = pan[:, : height * own_ratio, : width * own_ratio]
    has_pan = _has_data(pan, item.get("nodata_pan"))
    has_pan = has_pan.reshape(height, own_ratio, width, own_ratio).all(axis=(1, 3))
    return ms[:, :height, :width], shrink_pan(pan, own_ratio), valid[:height, :width] & has_pan


def _crop(image: NDArray[Any], ratio: int) -> NDArray[Any]:
    height, width = (size // ratio * ratio for size in image.shape[-2:])
    return image[..., :height, :width]


def _erode(valid: NDArray[np.bool_], ratio: int) -> NDArray[np.bool_]:
    if valid.all():
        return valid
    side = 2 * _VALID_MARGIN * ratio + 1
    # scene edges are real borders that the filters handle, so they do not erode
    rows = binary_erosion(valid, np.ones((side, 1)), border_value=1)
    return np.asarray(binary_erosion(rows, np.ones((1, side)), border_value=1))


def _degrade(
    gt: NDArray[np.float64], gains: Sequence[float], ratio: int, phase: Phase
) -> NDArray[np.float64]:
    return (degrade_ms if phase == "toolbox" else degrade_ms_centred)(gt, gains, ratio)


def _interpolate(ms: NDArray[np.float64], ratio: int, phase: Phase) -> NDArray[np.float64]:
    boundary: Boundary = "circular" if phase == "toolbox" else "edge"
    return interp23tap(ms, ratio, phase, boundary)
