"""Where a product lies on the globe, as GeoJSON: by its transform, its GCPs or its RPCs, whatever it has."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from rasterio._err import CPLE_BaseError  # failures of PROJ come as one, and it is no RasterioError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer, RPCTransformer
from rasterio.warp import transform_geom

from bnnpan_runtime.scene import ProductFormat

__all__ = ["Footprint", "footprint_of"]

_WGS84 = CRS.from_epsg(4326)

_POINTS = 21
"""Along each edge, since straight ones are curves in other coordinates; as many as GDAL takes."""

_DECIMALS = 7
"""Of degrees: 1 cm."""

Position = tuple[float, float]
Ring = list[Position]


@dataclass(frozen=True)
class Footprint:
    """A GeoJSON geometry in degrees of WGS 84, its bounds, and what told them.

    bbox  west, south, east, north; west > east where it crosses 180 degrees
    """

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]
    source: str


def footprint_of(form: ProductFormat) -> Footprint | None:
    """The footprint of a product; None if nothing tells where it lies."""
    try:
        outline, crs, source = _outline(form)
        if outline is None:
            return None
        geometry = {"type": "Polygon", "coordinates": [outline]}
        geometry = transform_geom(crs, _WGS84, geometry, precision=_DECIMALS)
    except (RasterioError, CPLE_BaseError, ValueError):  # outside of what projection or RPCs are good for
        return None
    rings = _rings(geometry)
    if not np.isfinite([place for ring in rings for place in ring]).all():
        return None
    polygons = [[_counter_clockwise(ring)] for ring in rings]
    if len(polygons) == 1:
        return Footprint({"type": "Polygon", "coordinates": polygons[0]}, _bounds(rings), source)
    return Footprint({"type": "MultiPolygon", "coordinates": polygons}, _bounds(rings), source)


def _outline(form: ProductFormat) -> tuple[Ring | None, Any, str]:
    """The edge of the outermost pixels in some coordinate system, and what told it."""
    places = _edge(form.height, form.width)
    if form.transform is not None:
        if not form.crs:
            return None, None, ""
        return [_position(form.transform @ (col, row)) for row, col in places], form.crs, "geotransform"
    rows, cols = ([place[axis] for place in places] for axis in (0, 1))
    if form.gcps and form.crs:
        with GCPTransformer(list(form.gcps)) as gcps:
            return _located(gcps, rows, cols), form.crs, f"{len(form.gcps)} ground control points"
    if form.rpcs is not None:
        height = form.rpcs.height_off
        with RPCTransformer(form.rpcs, rpc_height=height) as rpcs:
            return _located(rpcs, rows, cols), _WGS84, f"RPCs at a height of {height:g} m"
    return None, None, ""


def _edge(height: int, width: int) -> list[Position]:
    """Row and column around an image, counter-clockwise from its upper left corner, where it ends again."""
    steps = [step / _POINTS for step in range(_POINTS)]
    return [
        *((height * step, 0.0) for step in steps),
        *((float(height), width * step) for step in steps),
        *((height * (1 - step), float(width)) for step in steps),
        *((0.0, width * (1 - step)) for step in steps),
        (0.0, 0.0),
    ]


def _located(transformer: Any, rows: list[float], cols: list[float]) -> Ring:
    return [_position(place) for place in zip(*transformer.xy(rows, cols, offset="ul"), strict=True)]


def _position(place: Any) -> Position:
    x, y, *_ = place
    return float(x), float(y)


def _rings(geometry: dict[str, Any]) -> list[Ring]:
    """The outer rings; GDAL cuts in two what crosses 180 degrees."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [[_position(place) for place in polygon[0]] for polygon in polygons]


def _counter_clockwise(ring: Ring) -> Ring:
    """As RFC 7946, section 3.1.6, has outer rings."""
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    return ring if area > 0 else ring[::-1]


def _bounds(rings: list[Ring]) -> tuple[float, float, float, float]:
    """West, south, east, north (RFC 7946, section 5.2)."""
    south, north = (end(y for ring in rings for _, y in ring) for end in (min, max))
    east_of = [ring for ring in rings if len(rings) > 1 and min(x for x, _ in ring) > 0]
    west_of = [ring for ring in rings if ring not in east_of]
    west = min(x for ring in east_of or west_of for x, _ in ring)
    return west, south, max(x for ring in west_of or east_of for x, _ in ring), north
