"""A product in a catalogue: STAC 1.1, its extensions for projections, rasters, files, processing and models.

Everything is plain JSON. docs/product.md says what a scene without georeferencing has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isnan, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from bnnpan_runtime import __version__
from bnnpan_runtime.contract import FuseReport
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.scene import ProductFormat, Scene
from bnnpan_runtime.stac.footprint import footprint_of
from bnnpan_runtime.stac.model import FILE_SCHEMA, MLM_SCHEMA, STAC_VERSION, mlm_properties, model_item

if TYPE_CHECKING:
    from bnnpan_runtime.finishing.statistics import BandStatistics
    from bnnpan_runtime.method import Method

__all__ = ["Asset", "product_item"]

_EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.1.0/schema.json",
    FILE_SCHEMA,
)

_SHA256_MULTIHASH = "1220"
"""Code of SHA-256, and 32 bytes of it."""

_TIMES = (
    ("ACQUISITIONDATETIME", "IMAGERY", "%Y-%m-%d %H:%M:%S"),
    ("NITF_IDATIM", None, "%Y%m%d%H%M%S"),
    ("TIFFTAG_DATETIME", None, "%Y:%m:%d %H:%M:%S"),
)
"""Where files tell the time of a scene: GDAL's name, its domain, and how it is written, in UTC."""


@dataclass(frozen=True)
class Asset:
    """A file of the product, as it will be named; `content` is the one that holds it by now."""

    key: str
    path: Path
    content: Path
    kind: str
    title: str
    roles: tuple[str, ...]


def product_item(
    method: Method,
    report: FuseReport,
    assets: Sequence[Asset],
    statistics: Sequence[BandStatistics],
    acquired: datetime | None = None,
) -> dict[str, Any]:
    """STAC item of a product whose open scene is that of `method`; the first of `assets` are its pixels.

    Its times are `acquired`, else what PAN says, else when the file of PAN was last changed. Files are named
    without their folders. Raises OSError if one of them cannot be read.
    """
    scene = method.scene
    form, footprint = scene.product_format, footprint_of(scene.product_format)
    taken, taken_from = _time_of(scene.pan.first, acquired)
    product, *others = assets
    folder = product.path.parent
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [*_EXTENSIONS],
        "id": product.path.stem,
        "geometry": None if footprint is None else footprint.geometry,
        "properties": {
            "datetime": taken,
            "created": _text(datetime.now(UTC)),
            "title": f"{product.path.stem}: pan-sharpened {', '.join(_names(form))}",
            **_resolution(form),
            **_projection(form),
            **_processing(method, report),
            **_own(method, report),
            "bnnpan:datetime_from": taken_from,
            "bnnpan:footprint_from": None if footprint is None else footprint.source,
            "bnnpan:inputs": list(_inputs(scene)),
        },
        "links": [],
        "assets": {
            product.key: {
                **_file(product, folder),
                "bands": [{"name": name} for name in _names(form)],
                "raster:bands": _bands(form, statistics),
            },
            **{asset.key: _file(asset, folder) for asset in others},
        },
    }
    if footprint is not None:
        item["bbox"] = list(footprint.bbox)
    if method.bundle is not None:
        item["stac_extensions"].append(MLM_SCHEMA)
        item["properties"] |= mlm_properties(method.bundle.manifest)
        item["assets"]["model"] = model_item(method.bundle, method.bundle.path.name)["assets"]["model"]
    return item


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _time_of(pan: DatasetReader, acquired: datetime | None) -> tuple[str, str]:
    """When the scene was taken, and who says so."""
    if acquired is not None:
        return _text(acquired if acquired.tzinfo else acquired.replace(tzinfo=UTC)), "the command"
    for name, domain, form in _TIMES:
        try:
            said = datetime.strptime(pan.tags(ns=domain).get(name, "").strip(), form)
        except ValueError:
            continue
        return _text(said.replace(tzinfo=UTC)), name
    for path in filter(os.path.isfile, pan.files):
        changed = datetime.fromtimestamp(int(os.stat(path).st_mtime), UTC)
        return _text(changed), "the date of the file of PAN"
    return _text(datetime.now(UTC)), "the time of the run"


def _names(form: ProductFormat) -> list[str]:
    return [text or f"band {number}" for number, text in enumerate(form.descriptions, 1)]


def _projection(form: ProductFormat) -> dict[str, Any]:
    code = form.crs.to_authority() if form.crs else None
    fields: dict[str, Any] = {
        "proj:code": None if code is None else ":".join(code),
        "proj:shape": [form.height, form.width],
    }
    if form.crs and code is None:
        fields["proj:wkt2"] = form.crs.to_wkt(version="WKT2_2019")
    if form.transform is not None:
        corners = [
            form.transform @ (col, row)
            for row, col in ((0, 0), (0, form.width), (form.height, form.width), (form.height, 0))
        ]
        xs, ys = zip(*corners, strict=True)
        fields["proj:transform"] = [float(value) for value in tuple(form.transform)[:6]]
        fields["proj:bbox"] = [float(value) for value in (min(xs), min(ys), max(xs), max(ys))]
    return fields


def _resolution(form: ProductFormat) -> dict[str, float]:
    """Side of a square as large as a pixel, in metres; nothing where coordinates are no lengths."""
    if form.transform is None or not form.crs or not form.crs.is_projected:
        return {}
    return {"gsd": sqrt(abs(form.transform.determinant)) * form.crs.linear_units_factor[1]}


def _bands(form: ProductFormat, statistics: Sequence[BandStatistics]) -> list[dict[str, Any]]:
    bands = []
    for number, found in enumerate(statistics):
        band: dict[str, Any] = {"data_type": form.dtype, "sampling": "area"}
        band["scale"] = float(form.scales[number]) if form.scales else 1.0
        band["offset"] = float(form.offsets[number]) if form.offsets else 0.0
        if form.nodata is not None:
            band["nodata"] = "nan" if isnan(form.nodata) else form.nodata
        if form.units and form.units[number]:
            band["unit"] = form.units[number]
        if gsd := _resolution(form).get("gsd"):
            band["spatial_resolution"] = gsd
        bands.append({**band, "statistics": found.to_json()})
    return bands


def _processing(method: Method, report: FuseReport) -> dict[str, Any]:
    if method.bundle is None:
        maker = f"the classical method {method.name}"
    else:
        maker = f"the 1-bit network {method.bundle.manifest.id}"
    return {
        "processing:lineage": f"PAN and MS fused by {maker} on {report.backend} ({report.isa})",
        "processing:software": {
            "bnnpan-runtime": __version__,
            "numpy": np.__version__,
            "GDAL": rasterio.__gdal_version__,
        },
    }


def _own(method: Method, report: FuseReport) -> Mapping[str, Any]:
    """What no extension has a word for."""
    whole = report.to_json()
    plan = ("tile", "halo", "threads", "budget_bytes", "predicted_peak_bytes", "measured_peak_bytes")
    run = ("pan_pixels", "seconds", "resumed_tiles", "skipped_tiles", "saturated_pixels", "scene_notes")
    fields: dict[str, Any] = {
        "bnnpan:method": method.name,
        "bnnpan:plan": {name: whole[name] for name in plan},
        "bnnpan:run": {name: whole[name] for name in run},
        "bnnpan:calibration": asdict(report.units),
        "bnnpan:shift": asdict(report.shift),
    }
    if report.fallback_reason is not None:
        fields["bnnpan:fallback_reason"] = report.fallback_reason
    if method.bundle is not None:
        fields["bnnpan:bundle"] = {
            "id": method.bundle.manifest.id,
            "manifest_sha256": method.bundle.sha256,
            "signer": report.signer,
            "signer_key_id": report.signer_key_id,
        }
    if whole.get("quality") is not None:
        fields["bnnpan:quality"] = whole["quality"]
    return fields


def _inputs(scene: Scene) -> Iterator[dict[str, Any]]:
    """Every file that was read, by content; names are theirs without folders."""
    for role, raster in (("pan", scene.pan), ("ms", scene.ms)):
        files = dict.fromkeys(path for part in raster.parts for path in part.dataset.files)
        for path in map(Path, filter(os.path.isfile, files)):
            yield {"role": role, "name": path.name, **_content(path)}


def _file(asset: Asset, folder: Path) -> dict[str, Any]:
    """The asset as an item in this folder names it."""
    place = Path(os.path.relpath(asset.path, folder)).as_posix()
    return {
        "href": place if place.startswith("../") else f"./{place}",
        "type": asset.kind,
        "title": asset.title,
        "roles": list(asset.roles),
        **_content(asset.content),
    }


def _content(path: Path) -> dict[str, Any]:
    return {"file:size": path.stat().st_size, "file:checksum": _SHA256_MULTIHASH + sha256_of(path)}
