"""Bundles as if their network took other units: what it makes means little, but every step is the same."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME, Units
from bnnpan_runtime.golden import golden_patches, golden_tile, sampled
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.tile_engine import engine_arrays, float_images, tile_engine
from bnnpan_runtime.weights import GOLDEN_SIDE


def in_units(bundle: Bundle, units: Units, path: Path) -> Bundle:
    """`bundle` with other units, written to `path`; its golden tile is what the native engine makes of it."""
    if bundle.manifest.units == units:
        return bundle
    manifest = replace(bundle.manifest, units=units)
    files = {name: bundle.read(name) for name in manifest.files}
    files[GOLDEN_NAME] = _golden_file(replace(bundle, manifest=manifest))
    value = manifest.to_json()
    value["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in files.items()
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {MANIFEST_NAME: json.dumps(value).encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return Bundle.open(path)


def _golden_file(bundle: Bundle) -> bytes:
    golden, engine = bundle.golden(), open_backend("native", bundle)
    tile, window, resampler = golden_tile(golden, bundle.manifest)
    images = float_images(tile, window, resampler)
    affines = engine.calibrate(*golden_patches(*images))
    arrays = engine_arrays(engine, resampler, len(tile.ms), GOLDEN_SIDE, GOLDEN_SIDE)
    tile_engine(engine, resampler, arrays).fuse(tile, window, affines)
    values = np.ascontiguousarray(sampled(tile.product))
    return save({"pan": golden.pan, "ms": golden.ms, "affines": affines, "hrms": values})
