"""What a product was made from and with, so that a record tells whether making it again would change it.

Budget and threads do not belong to it: they never change a pixel. Rasters that GDAL alone finds (`/vsi...`)
are told by their names.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from typing import Any

from bnnpan_archive.command import files_named
from bnnpan_archive.job import Job
from bnnpan_runtime import __version__
from bnnpan_runtime.errors import BundleError

__all__ = ["identity_of"]

_SAMPLE_BYTES = 2**16
"""At either end of an input file, as a run's own journal has it: headers, directories and some pixels."""


def identity_of(job: Job) -> dict[str, Any]:
    """Inputs, bundle, options and program as a JSON value; equal for runs that make the same product."""
    return {
        "inputs": [_raster(name) for name in (job.scene.pan, *job.scene.ms)],
        "bundle_sha256": _bundle(job),
        "bands": list(job.scene.bands),
        "acquired": job.scene.acquired,
        "arguments": list(job.options.arguments),
        "named": [_file(path) for path in files_named(job.options.arguments, job.options.directory)],
        "version": __version__,
    }


def _bundle(job: Job) -> str | None:
    """Digest of the bundle; None where there is none to be read, which `fuse` then judges."""
    from bnnpan_runtime.bundle import Bundle

    try:
        return Bundle.open(job.options.bundle).sha256
    except BundleError:
        return None


def _raster(name: str) -> list[dict[str, Any]]:
    """Every file that a raster consists of; those that GDAL alone can find by their name."""
    return [_file(path) for path in _files(name)]


def _files(name: str) -> list[str]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(name) as raster,
        ):
            return sorted(raster.files) or [name]
    except RasterioError:  # damaged or missing: what there is of it
        return [name]


def _file(path: str) -> dict[str, Any]:
    name = os.path.basename(path)
    try:
        with open(path, "rb", buffering=0) as file:
            state = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
            file.seek(max(0, state.st_size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    except OSError:
        return {"name": name}
    ends = {"ends_sha256": digest.hexdigest()}
    return {"name": name, "size_bytes": state.st_size, "mtime_ns": state.st_mtime_ns, **ends}
