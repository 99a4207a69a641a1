"""Small raw scenes for tests: smooth relief, sharp edges, georeferencing, everything a real one may bring."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

GSD = 0.5
RATIO = 4
BANDS = 4


@dataclass(frozen=True)
class RawScene:
    """Paths of a written scene."""

    pan: Path
    ms: Path


SceneWriter = Callable[..., RawScene]


def write_raw_scene(
    folder: Path,
    height: int = 200,
    width: int = 180,
    *,
    ms_shape: tuple[int, int] | None = None,
    offset: tuple[float, float] = (0, 0),
    dtype: str = "uint16",
    bands: int = BANDS,
    nodata: int | None = None,
    georeferenced: bool = True,
    change: Callable[[np.ndarray, np.ndarray], None] | None = None,
    **creation: Any,
) -> RawScene:
    """Write PAN and MS; PAN begins `offset` PAN pixels inside MS, `change` edits the arrays in place."""
    ms_height, ms_width = ms_shape or (-(-height // RATIO), -(-width // RATIO))
    top = 255 if dtype == "uint8" else 2047
    random = np.random.default_rng(height * width)
    pan = (_relief(height, width, 1.0, random) * top).astype(dtype)
    levels = [_relief(ms_height, ms_width, RATIO, random) * top * (0.6 + 0.1 * band) for band in range(bands)]
    ms = np.stack(levels).astype(dtype)
    if change is not None:
        change(pan, ms)
    transform = Affine(GSD, 0, 600000, 0, -GSD, 5000000)
    ms_transform = transform @ Affine.translation(-offset[1], -offset[0]) @ Affine.scale(RATIO)
    scene = RawScene(folder / "pan.tif", folder / "ms.tif")
    for path, image, grid in ((scene.pan, pan[None], transform), (scene.ms, ms, ms_transform)):
        reference = {"crs": "EPSG:32631", "transform": grid} if georeferenced else {}
        write_raster(path, image, nodata=nodata, **reference, **creation)
    return scene


def write_raster(path: Path, image: np.ndarray, **profile: Any) -> None:
    """Write `(bands, height, width)` as a GeoTIFF."""
    bands, height, width = image.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=image.dtype, **profile
        ) as raster:
            raster.write(image)


def read_raster(path: Path) -> np.ndarray:
    """All pixels of a raster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as raster:
            return raster.read()


def _relief(height: int, width: int, step: float, random: np.random.Generator) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width] * step
    waves = 0.5 + 0.2 * np.sin(rows / 11) * np.cos(cols / 7) + 0.1 * np.sin((rows + 2 * cols) / 37)
    fields = 0.15 * ((rows // 48 + cols // 40) % 2)
    return waves + fields + 0.03 * random.random((height, width))
