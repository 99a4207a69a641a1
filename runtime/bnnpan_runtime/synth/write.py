"""Write a synthetic scene as GeoTIFFs, window by window, in constant memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from bnnpan_runtime.errors import OutputError, SceneError, one_line
from bnnpan_runtime.memory import MIB, format_size
from bnnpan_runtime.storage import raster_cache
from bnnpan_runtime.synth.capture import Scene

__all__ = ["FILE_NAMES", "write_scene"]

FILE_NAMES = ("pan.tif", "ms.tif", "truth.tif")

_PAN_GSD_M = 0.5
_WEST_M, _NORTH_M = 430_000.0, 5_012_000.0  # UTM zone 31 north, 45 degrees
_CACHE_BYTES = 16 * MIB


def write_scene(
    folder: Path,
    scene: Scene,
    height: int,
    width: int,
    *,
    window: int = 512,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Write `pan.tif`, `ms.tif`, `truth.tif` of `height x width` PAN pixels into `folder`; return the paths.

    `window` is the side of the square computed at a time, a multiple of the ratio; the pixels do not depend
    on it. `progress(done, total)` is called after each. The files appear under their names when all are
    complete. Raises SceneError for impossible sizes, OutputError if a file exists or cannot be written.
    """
    if height % scene.ratio or width % scene.ratio or min(height, width) < scene.ratio:
        raise SceneError(f"size {height} x {width}: must be a multiple of the ratio {scene.ratio}")
    if window % scene.ratio:
        raise SceneError(f"window {window}: must be a multiple of the ratio {scene.ratio}")
    paths = {name: folder / name for name in FILE_NAMES}
    for path in paths.values():
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists; choose another folder or pass --overwrite")
    partial = {name: folder / f".partial-{name}" for name in FILE_NAMES}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder: {error.strerror}") from error
    _check_space(folder, scene, height * width)
    try:
        _write(partial, scene, height, width, window, progress)
        for name, path in paths.items():
            os.replace(partial[name], path)
    except (OSError, RasterioError) as error:
        raise OutputError(f"{folder}: cannot write scene: {one_line(error)}") from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return paths


def _check_space(folder: Path, scene: Scene, pan_pixels: int) -> None:
    """Refuse to start what the disk cannot hold: a library would complain on its own, many times over."""
    values = pan_pixels * (1 + scene.bands) + pan_pixels // scene.ratio**2 * scene.bands
    needed = values * (1 if scene.bit_depth <= 8 else 2)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(f"{folder}: the scene takes {format_size(needed)}, {format_size(free)} are free")


def _write(
    paths: dict[str, Path],
    scene: Scene,
    height: int,
    width: int,
    window: int,
    progress: Callable[[int, int], None],
) -> None:
    names = scene.camera.names
    ratio = scene.ratio
    with ExitStack() as stack:
        stack.enter_context(raster_cache(_CACHE_BYTES))
        pan, ms, truth = (
            stack.enter_context(rasterio.open(paths[name], "w", **profile))
            for name, profile in (
                ("pan.tif", _profile(scene, height, width, 1, _PAN_GSD_M)),
                ("ms.tif", _profile(scene, height // ratio, width // ratio, scene.bands, _PAN_GSD_M * ratio)),
                ("truth.tif", _profile(scene, height, width, scene.bands, _PAN_GSD_M)),
            )
        )
        pan.set_band_description(1, "pan")
        for dataset in (ms, truth):
            for band, name in enumerate(names, 1):
                dataset.set_band_description(band, name)
        windows = list(_windows(height, width, window))
        for done, (row, col, rows, cols) in enumerate(windows, 1):
            shot = scene.shoot(row, col, rows, cols)
            pan.write(shot.pan, 1, window=Window(col, row, cols, rows))
            truth.write(shot.truth, window=Window(col, row, cols, rows))
            ms.write(shot.ms, window=Window(col // ratio, row // ratio, cols // ratio, rows // ratio))
            progress(done, len(windows))


def _profile(scene: Scene, height: int, width: int, bands: int, gsd_m: float) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": bands,
        "dtype": "uint8" if scene.bit_depth <= 8 else "uint16",
        "crs": "EPSG:32631",
        "transform": Affine(gsd_m, 0, _WEST_M, 0, -gsd_m, _NORTH_M),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "BIGTIFF": "IF_SAFER",
    }


def _windows(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    for row in range(0, height, side):
        for col in range(0, width, side):
            yield row, col, min(side, height - row), min(side, width - col)
