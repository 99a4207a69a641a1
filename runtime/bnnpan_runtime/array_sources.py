"""Arrays as scenes: NumPy arrays, xarray's labelled ones and open datasets, under a name that GDAL can open.

Arrays are written to a GeoTIFF in memory, so that everything behind it is what a file would meet. xarray is
never imported here: an array that has labels brings it along.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import Affine

from bnnpan_runtime.errors import SceneError, one_line
from bnnpan_runtime.scene import AnyPath

__all__ = [
    "Image",
    "Images",
    "LabelledArray",
    "PlainImage",
    "PlainImages",
    "opened_ms",
    "opened_pan",
    "product_labels",
]

_DTYPES = ("uint8", "uint16", "int16", "float32")

_UNEVEN = 1e-3
"""Pixels by which coordinates may stray from an even grid: they were rounded when they were written."""


@runtime_checkable
class LabelledArray(Protocol):
    """What is needed of an `xarray.DataArray`."""

    @property
    def dims(self) -> tuple[Any, ...]:
        """Names of its axes."""
        ...

    @property
    def coords(self) -> Any:
        """What its axes mean, by name."""
        ...

    @property
    def attrs(self) -> Any:
        """What else it knows."""
        ...


PlainImage: TypeAlias = AnyPath | DatasetReader | NDArray[Any]
Image: TypeAlias = PlainImage | LabelledArray
"""PAN `(height, width)`, or MS `(bands, height, width)`, in any form."""

PlainImages: TypeAlias = PlainImage | Sequence[AnyPath | DatasetReader]
Images: TypeAlias = PlainImages | LabelledArray
"""MS, its bands in one image, or in several files."""


@dataclass(frozen=True)
class _Labels:
    """Which axis of a labelled array is which; `band` is None where there is none."""

    band: Any
    row: Any
    col: Any


@contextmanager
def opened_pan(pan: Image, nodata: float | None) -> Iterator[AnyPath]:
    """A name of PAN that GDAL can open. Raises SceneError."""
    with ExitStack() as stack:
        yield _named(stack, pan, nodata, "pan", None)


@contextmanager
def opened_ms(ms: Images, nodata: float | None, pan: Image) -> Iterator[AnyPath | Sequence[AnyPath]]:
    """Names of MS that GDAL can open; a labelled one calls its axes as PAN does. Raises SceneError."""
    beside = pan if isinstance(pan, LabelledArray) else None
    with ExitStack() as stack:
        if isinstance(ms, (list, tuple)):
            yield [_named(stack, one, nodata, "ms", beside) for one in ms]
        else:
            yield _named(stack, ms, nodata, "ms", beside)


def _named(
    stack: ExitStack, image: Image, nodata: float | None, role: str, beside: LabelledArray | None
) -> AnyPath:
    if isinstance(image, (str, os.PathLike)):
        return image
    if isinstance(image, DatasetReader):
        if image.closed:
            raise SceneError(f"{role.upper()} {image.name} is a dataset that has been closed; open it again")
        return str(image.name)
    if isinstance(image, LabelledArray):
        labels = _labels_of(image, beside)
        planes = np.asarray(image) if labels.band is None else _band_first(image, labels)
        georeference, descriptions = _ground(image, labels), _names_of_bands(image, labels)
        declared = _declared(image) if nodata is None else nodata
        return stack.enter_context(_in_memory(role, planes, declared, georeference, descriptions))
    return stack.enter_context(_in_memory(role, image, nodata, {}, ()))


@contextmanager
def _in_memory(
    role: str,
    image: Any,
    nodata: float | None,
    georeference: dict[str, Any],
    descriptions: Sequence[str],
) -> Iterator[str]:
    planes = _planes(role, image)
    bands, height, width = planes.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": planes.dtype}
    with warnings.catch_warnings(), MemoryFile(filename=f"{role}.tif") as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with memory.open(
                **profile, **georeference, nodata=nodata, tiled=True, photometric="MINISBLACK", ALPHA="NO"
            ) as raster:
                raster.write(planes)
                for band, text in enumerate(descriptions, 1):
                    raster.set_band_description(band, text)
        except (ValueError, RasterioError) as error:  # NoData that the dtype cannot hold, for one
            raise SceneError(
                f"{role.upper()} is an array of {planes.dtype} that cannot be taken ({one_line(error)})"
            ) from error
        yield memory.name


def _planes(role: str, image: Any) -> NDArray[Any]:
    if isinstance(image, np.ma.MaskedArray):
        raise SceneError(
            f"{role.upper()} is a masked array; fill it with a value that means no data, and name that value"
        )
    planes = np.asarray(image)
    if planes.dtype == object or not planes.ndim:
        raise SceneError(
            f"{role.upper()} is a {type(image).__name__}; give an array, an open dataset of a file, or a path"
        )
    if planes.ndim == 2:
        planes = planes[None]
    if planes.ndim != 3 or not planes.size:
        raise SceneError(f"{role.upper()} has the shape {planes.shape}; give (bands, height, width)")
    if planes.dtype.name not in _DTYPES:
        raise SceneError(
            f"{role.upper()}: pixels are {planes.dtype.name}, must be {', '.join(_DTYPES)}; convert them"
        )
    return planes.astype(planes.dtype.newbyteorder("="), copy=False)


def _labels_of(image: LabelledArray, beside: LabelledArray | None) -> _Labels:
    """The axes: of the two that PAN has, too, by name, else by their order."""
    dims = tuple(image.dims)
    if len(dims) == 2:
        return _Labels(None, *dims)
    if len(dims) != 3:
        raise SceneError(f"an array with the dimensions {dims} is no image; give bands, rows and columns")
    of_pan = () if beside is None else tuple(beside.dims)[-2:]
    others = [name for name in dims if name not in of_pan]
    band = others[0] if len(others) == 1 else dims[0]
    row, col = (name for name in dims if name != band)
    return _Labels(band, row, col)


def _band_first(image: LabelledArray, labels: _Labels) -> NDArray[Any]:
    return np.moveaxis(np.asarray(image), tuple(image.dims).index(labels.band), 0)


def _declared(image: LabelledArray) -> float | None:
    """The value for absent pixels, as rioxarray and CF call it."""
    known = {**getattr(image, "encoding", {}), **image.attrs}
    value = known.get("_FillValue", known.get("nodata"))
    return None if value is None else float(value)


def _names_of_bands(image: LabelledArray, labels: _Labels) -> list[str]:
    """Text along the axis of bands."""
    if labels.band is None or labels.band not in image.coords:
        return []
    values = list(np.asarray(image.coords[labels.band].values).ravel())
    return [str(value) for value in values] if all(isinstance(value, str) for value in values) else []


def _ground(image: LabelledArray, labels: _Labels) -> dict[str, Any]:
    """Coordinate system and transform, by even coordinates of pixel centres, else as rioxarray keeps them."""
    mapping = image.coords.get(image.attrs.get("grid_mapping", "spatial_ref"))
    known = {} if mapping is None else dict(mapping.attrs)
    crs = known.get("crs_wkt") or known.get("spatial_ref") or image.attrs.get("crs")
    found: dict[str, Any] = {} if crs is None else {"crs": CRS.from_user_input(crs)}
    places = [image.coords.get(name) for name in (labels.col, labels.row)]
    if all(place is not None and place.size > 1 for place in places):
        (left, across), (top, down) = (_even(place.values) for place in places if place is not None)
        found["transform"] = Affine(across, 0, left, 0, down, top)
    elif "GeoTransform" in known:
        found["transform"] = Affine.from_gdal(*map(float, known["GeoTransform"].split()))
    return found


def _even(centres: Any) -> tuple[float, float]:
    """Where the first pixel begins, and the size of pixels. Raises SceneError where they differ."""
    places = np.asarray(centres, np.float64)
    step = (places[-1] - places[0]) / (len(places) - 1)
    even = places[0] + step * np.arange(len(places))
    if not step or np.abs(places - even).max() > _UNEVEN * abs(step):
        raise SceneError("coordinates are not evenly spaced; resample the image to a grid of equal pixels")
    return float(places[0] - step / 2), float(step)


def product_labels(
    pan: LabelledArray,
    ms: LabelledArray,
    corner: tuple[int, int],
    order: Sequence[int],
    product: NDArray[Any],
) -> Any:
    """A product `(bands, height, width)` as an array with the labels of its scene, axes in the order of MS.

    Rows and columns have the coordinates of PAN from `corner` on, bands those of MS in `order`; the rest is
    that of MS.
    """
    of_pan, of_ms = _labels_of(pan, None), _labels_of(ms, pan)
    rows, cols = (slice(start, start + count) for start, count in zip(corner, product.shape[1:], strict=True))
    cut = {of_pan.row: rows, of_pan.col: cols}
    names = {of_pan.row: of_ms.row, of_pan.col: of_ms.col}
    coords: dict[Any, Any] = {}
    for name, values in dict(pan.coords).items():
        if set(values.dims) <= set(cut):
            part = values.isel({axis: cut[axis] for axis in values.dims})
            coords[names.get(name, name)] = (
                tuple(names[axis] for axis in part.dims),
                part.values,
                part.attrs,
            )
    for name, values in dict(ms.coords).items():
        if values.dims == (of_ms.band,):
            coords[name] = (values.dims, values.values[list(order)], values.attrs)
    dims = (of_ms.row, of_ms.col) if of_ms.band is None else (of_ms.band, of_ms.row, of_ms.col)
    labelled: Any = type(ms)(  # type: ignore[call-arg]  # DataArray, which is not imported
        product[0] if of_ms.band is None else product,
        dims=dims,
        coords=coords,
        attrs=dict(ms.attrs),
        name=getattr(ms, "name", None),
    )
    return labelled.transpose(*ms.dims)
