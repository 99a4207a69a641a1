"""What the pixels of a product depend on, so that a run continues only what it would have made itself.

Tile size, threads and budget do not belong to it: they never change a pixel. Neither do names of files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import rasterio
from rasterio.io import DatasetReader

import bnnpan_runtime
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.errors import SceneError, one_line
from bnnpan_runtime.method import Method
from bnnpan_runtime.product.block_file import BlockGrid
from bnnpan_runtime.product.journal import Identity
from bnnpan_runtime.product.tags import sha256_of

__all__ = ["identify"]

_SAMPLE_BYTES = 2**16
"""At either end of an input file: headers, directories and some pixels lie there."""

_NOT_SETTINGS = ("pan", "ms", "notes")
"""Fields of a scene: its inputs, and remarks, which may name files."""


def identify(
    method: Method,
    constants: SceneConstants,
    tags: Mapping[str, str],
    demands: Mapping[str, Any] = MappingProxyType({}),
) -> Identity:
    """Identity of a run; `tags` of its product name program, network, and what computes it.

    `demands` are what else shapes its files: whether there is a mask, which quality is asked of a pixel.

    The constants were taken from patches all over the scene: they tell a changed input even if its size and
    date are the same. Raises SceneError if a file of an input cannot be read.
    """
    scene = method.scene
    form = scene.product_format
    settings = {
        "tags": tags,
        "demands": demands,
        "form": form,
        "blocks": BlockGrid.of(form),
        "scene": {f.name: getattr(scene, f.name) for f in fields(scene) if f.name not in _NOT_SETTINGS},
        # The bytes around the pixels are its work.
        "gdal": rasterio.__gdal_version__,
        "program": _program(method),
    }
    inputs = [
        (_input(part.dataset), part.bands, raster.absence)
        for raster in (scene.pan, scene.ms)
        for part in raster.parts
    ]
    return Identity(*(_digest(part) for part in (settings, inputs, constants)))


def _program(method: Method) -> dict[str, Any]:
    """What computes, by content: a version number does not change with a patch. Takes about 5 ms.

    The instruction set of the native engine is none of it, as all of them give the same bits.
    """
    package = Path(bnnpan_runtime.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        sources.update(f"{path.relative_to(package)}\0".encode())
        sources.update(hashlib.sha256(path.read_bytes()).digest())
    return {
        "sources": sources.hexdigest(),
        "numpy": np.__version__,
        "engine": None if method.engine.name == "native" else method.engine.isa,
        # Other engines compute with its kernels.
        "library": _library() if method.name == "network" else None,
    }


def _library() -> str | None:
    """Digest of libbnnpan, on whose kernels every backend runs; None where there is none."""
    from bnnpan_runtime.graph.libbnnpan import library_path

    path = library_path()
    return sha256_of(path) if path.is_file() else None


def _input(raster: DatasetReader) -> dict[str, Any]:
    """A raster by what its header says, and by size, date and both ends of the files it consists of."""
    profile = {key: raster.profile[key] for key in ("driver", "dtype", "width", "height", "count", "nodata")}
    files = [_file(path) for path in raster.files if os.path.isfile(path)]
    return {"profile": profile, "crs": raster.crs, "transform": tuple(raster.transform), "files": files}


def _file(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb", buffering=0) as file:
            state = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
            file.seek(max(0, state.st_size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({one_line(error)})") from error
    return {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "ends": digest.hexdigest()}


def _digest(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).digest()


def _plain(value: Any) -> Any:
    """The value as JSON, without loss: floats to their last bit, arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    # `repr` of a float names it exactly; a NaN in JSON would be no JSON.
    return value if isinstance(value, str | int | None) else repr(value)
