"""A data manifest: which images there are, what they are for, and their pixels. `pairs` states its format."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scipy.ndimage import binary_erosion

from bnnpan_runtime.errors import ConfigError, SceneError

__all__ = [
    "BGRN",
    "Split",
    "away_from_nodata",
    "cut",
    "has_data",
    "read_image",
    "read_items",
    "stored_bands",
]

Split = Literal["train", "val", "test"]
BGRN = ("blue", "green", "red", "nir")
_VALID_MARGIN = 3  # low-resolution pixels around nodata that filter and interpolation visibly reach


def read_items(path: Path, split: Split, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The items of one split in their order, or those of them that are named.

    Raises `ConfigError` for a manifest that cannot be used, or a name that is not in the split.
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8"))["items"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no data manifest ({error!r}): give JSON with `items`") from error
    for item in items:
        degraded_here = {"pan", "ms"} <= set(item.get("files", ())) and "gt" not in item["files"]
        for key in ("name", "split", "use", "files", "bit_depth", *(["ratio"] if degraded_here else [])):
            if item.get(key) is None:
                raise ConfigError(f"{path}: item {item.get('name', '?')} does not state `{key}`: add it")
        _check_crop(path, item)
    by_name = {item["name"]: item for item in items if item["split"] == split}
    for name in names or ():
        if name not in by_name:
            raise ConfigError(f"{name} is not in the {split} split: choose from {', '.join(by_name)}")
    return list(by_name.values()) if names is None else [by_name[name] for name in names]


def stored_bands(item: dict[str, Any]) -> list[str]:
    """Roles of the bands an item's MS file holds, in its order."""
    return list(BGRN) if "ms10" in item["files"] else list(item.get("band_names") or [])


def read_image(path: Path) -> NDArray[np.float64]:
    """`(bands, height, width)` in DN. Raises `SceneError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # no coordinates are needed
            with rasterio.open(path) as dataset:
                return np.asarray(dataset.read(), np.float64)
    except rasterio.errors.RasterioIOError as error:
        raise SceneError(f"{path} cannot be read ({error}): check the file the manifest names") from error


def cut(image: NDArray[np.float64], item: dict[str, Any], scale: int = 1) -> NDArray[np.float64]:
    """The part of `image` within the item's `crop`, if it states one; `scale` is pixels per MS pixel.

    Raises `SceneError` where the image does not reach that far.
    """
    if "crop" not in item:
        return image
    row, column, height, width = (scale * size for size in item["crop"])
    part = image[..., row : row + height, column : column + width]
    if part.shape[-2:] != (height, width):
        raise SceneError(
            f"{item['name']}: `crop` {item['crop']} is not within the image: correct the manifest"
        )
    return part


def has_data(image: NDArray[np.float64], nodata: float | None) -> NDArray[np.bool_]:
    """`(height, width)`: where not all bands are nodata; 0 is nodata even if the manifest does not say so."""
    empty = image == 0 if nodata is None else (image == 0) | (image == nodata)
    return np.asarray(~empty.all(axis=0))


def away_from_nodata(valid: NDArray[np.bool_], ratio: int) -> NDArray[np.bool_]:
    """`valid` `(height, width)` without what lies so near nodata that filters carry some of it there."""
    if valid.all():
        return valid
    side = 2 * _VALID_MARGIN * ratio + 1
    # scene edges are real borders that the filters handle, so they do not erode
    rows = binary_erosion(valid, np.ones((side, 1)), border_value=1)
    return np.asarray(binary_erosion(rows, np.ones((1, side)), border_value=1))


def _check_crop(path: Path, item: dict[str, Any]) -> None:
    crop = item.get("crop", [0, 0, 1, 1])
    whole = isinstance(crop, list) and len(crop) == 4 and all(type(size) is int for size in crop)
    if not whole or min(crop) < 0 or min(crop[2:]) < 1 or ("crop" in item and "gt" in item["files"]):
        raise ConfigError(
            f"{path}: `crop` of {item['name']} must be [row, column, height, width] in MS pixels,"
            " and there is none for items with a ground truth: correct it"
        )
