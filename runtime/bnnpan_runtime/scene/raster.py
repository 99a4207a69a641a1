"""Bands of one or several files, read as one image by windows that may reach beyond it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # some failures come as one, and it is no RasterioError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError, one_line
from bnnpan_runtime.scene.nodata import Absence, absence_of, declared_value, mask_band
from bnnpan_runtime.scene.raw_files import check_size
from bnnpan_runtime.units import Pixels

__all__ = ["AnyPath", "MsPath", "Part", "Raster", "alpha_bands", "ms_paths", "open_raster", "whole_raster"]

AnyPath = str | os.PathLike[str]
MsPath = AnyPath | Sequence[AnyPath]
"""MS: one file, or several with some of the bands each."""

Masks = list[NDArray[np.uint8] | None]


@dataclass(frozen=True)
class Part:
    """Some bands of one file, counted from 1; `alpha` is the one that masks them."""

    dataset: DatasetReader
    bands: tuple[int, ...]
    alpha: int | None = None

    @property
    def masks(self) -> list[int | None]:
        """Per band, the one whose mask is to be asked."""
        return [mask_band(self.dataset, band) for band in self.bands]

    def read_masks(self, area: RasterioWindow) -> Masks:
        """Per band, 0 where a pixel is absent; None for bands without a mask."""
        alpha = None if self.alpha is None else _mask(self.dataset.read(self.alpha, window=area))
        known: dict[int, NDArray[np.uint8]] = {}
        masks: Masks = []
        for band in self.masks:
            if band is None:
                masks.append(alpha)
                continue
            if band not in known:
                mask = _mask(self.dataset.read_masks(band, window=area))
                known[band] = mask if alpha is None else mask & alpha
            masks.append(known[band])
        return masks


@dataclass(frozen=True)
class Raster:
    """Planes of some files on one grid and of one dtype; `parts` in the order of the planes."""

    parts: tuple[Part, ...]
    absence: Absence

    @property
    def first(self) -> DatasetReader:
        """The file that stands for all where they have to agree."""
        return self.parts[0].dataset

    @property
    def name(self) -> str:
        """Of the first file."""
        return str(self.first.name)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.first.height), int(self.first.width)

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.shape[1]

    @property
    def count(self) -> int:
        """Planes."""
        return sum(len(part.bands) for part in self.parts)

    @property
    def dtype(self) -> str:
        """Of all planes."""
        return str(self.first.dtypes[self.parts[0].bands[0] - 1])

    def per_plane(self, attribute: str) -> tuple[object, ...]:
        """What an attribute of the files with one value per band says of each plane."""
        return tuple(getattr(part.dataset, attribute)[band - 1] for part in self.parts for band in part.bands)

    def read(self, window: Window, out: Pixels, area: Window | None = None) -> None:
        """DN of a window into `out` `(planes, height, width)`, absent pixels marked.

        What lies outside `area`, or outside the raster, repeats the nearest pixel inside. Raises SceneError.
        """
        area = area or Window(0, 0, *self.shape)
        row, top, height = _inside(window.row, window.height, area.row, area.height)
        col, left, width = _inside(window.col, window.width, area.col, area.width)
        bottom, right = top + height, left + width
        self._read_inside(RasterioWindow(col, row, width, height), out[:, top:bottom, left:right])
        out[:, top:bottom, :left] = out[:, top:bottom, left : left + 1]
        out[:, top:bottom, right:] = out[:, top:bottom, right - 1 : right]
        out[:, :top] = out[:, top : top + 1]
        out[:, bottom:] = out[:, bottom - 1 : bottom]

    def mask_bytes(self, height: int, width: int) -> int:
        """What telling absent pixels takes while a window of this size is read."""
        if not self.absence.rewrites:
            return 0
        masks = max(len({band for band in part.masks if band}) for part in self.parts)
        alpha = max(
            1 + np.dtype(part.dataset.dtypes[part.alpha - 1]).itemsize if part.alpha else 0
            for part in self.parts
        )
        return (2 + masks + alpha) * height * width

    def _read_inside(self, area: RasterioWindow, out: Pixels) -> None:
        first = 0
        for part in self.parts:
            planes = out[first : first + len(part.bands)]
            try:
                part.dataset.read(list(part.bands), out=planes, window=area)
                if self.absence.rewrites:
                    self.absence.rewrite(planes, first, part.read_masks(area))
            except (RasterioError, CPLE_BaseError) as error:
                raise SceneError(
                    f"{part.dataset.name}: cannot read {area}: damaged or truncated file ({one_line(error)})"
                ) from error
            first += len(part.bands)


def whole_raster(parts: Sequence[Part]) -> Raster:
    """The planes of some parts; what marks absent pixels is taken from their files."""
    declared = [declared_value(part.dataset, band) for part in parts for band in part.bands]
    masked = any(part.alpha is not None or any(part.masks) for part in parts)
    dtype = str(parts[0].dataset.dtypes[parts[0].bands[0] - 1])
    return Raster(tuple(parts), absence_of(declared, masked, dtype))


def alpha_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Bands that the file calls transparency, counted from 1."""
    return tuple(band for band, kind in enumerate(dataset.colorinterp, 1) if kind is ColorInterp.alpha)


def ms_paths(ms: MsPath) -> tuple[AnyPath, ...]:
    """All files of an MS."""
    return (ms,) if isinstance(ms, (str, os.PathLike)) else tuple(ms)


@contextmanager
def open_raster(role: str, path: AnyPath) -> Iterator[DatasetReader]:
    """Open a file; `role` is what messages call it. Raises SceneError."""
    name = os.fspath(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = rasterio.open(name)
    except (RasterioError, CPLE_BaseError) as error:
        if not name.startswith("/vsi") and ":" not in name and not Path(name).exists():
            raise SceneError(f"{role} {name} does not exist; check the path") from error
        raise SceneError(f"{role} {name} is not a raster that can be read ({one_line(error)})") from error
    with raster:
        if not raster.count:
            images = f"one of its {len(raster.subdatasets)} images, such as {raster.subdatasets[0]}"
            raise SceneError(
                f"{role} {name} has no bands of its own; name {images if raster.subdatasets else 'a raster'}"
            )
        check_size(raster)
        yield raster


def _mask(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(pixels != 0, np.uint8)


def _inside(start: int, count: int, first: int, length: int) -> tuple[int, int, int]:
    """What to read of a stretch for which there are `length` places from `first` on, and where to put it.

    First place to read, its place in the stretch, number of places; at least one, the nearest.
    """
    begin = min(max(start, first), first + length - 1)
    end = min(max(start + count, begin + 1), first + length)
    wanted = min(end - begin, count)
    return begin, min(max(begin - start, 0), count - wanted), wanted
