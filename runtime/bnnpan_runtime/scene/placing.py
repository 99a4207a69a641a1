"""Where PAN lies on MS, and which part of it is fused: what both show, and what is wanted of that."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from rasterio.io import DatasetReader

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid, grid_from_shapes, grid_from_transforms
from bnnpan_runtime.scene.ground import Ground
from bnnpan_runtime.scene.pair import SceneOptions

__all__ = ["ground_of", "part_of", "placed"]

_log = logging.getLogger(__name__)


def placed(pan: DatasetReader, ms: DatasetReader, options: SceneOptions) -> tuple[Grid, Window, list[str]]:
    """Grid of the part of PAN that is wanted and that MS shows, that part, and what there is to say."""
    whole, notes = Window(0, 0, *pan.shape), []
    sides = {"PAN": pan, "MS": ms}
    unplaced = [role for role, raster in sides.items() if raster.transform.is_identity]
    if unplaced:
        notes.append(f"{' and '.join(unplaced)} without georeferencing, taken to begin at the same corner")
    if len(unplaced) == 1:
        _log.warning(
            "%s has no georeferencing; PAN and MS are taken to begin at the same corner",
            sides[unplaced[0]].name,
        )
    area = covered = _grid(pan, ms, whole, is_final=False).covered(pan.shape, ms.shape)
    if covered != whole:
        notes.append(
            f"MS does not cover PAN; the product has the {covered.width} x {covered.height} PAN pixels from"
            f" column {covered.col}, row {covered.row} that both show"
        )
        _log.warning("%s: %s", ms.name, notes[-1])
    wanted = part_of(pan, options.extent, options.window)
    if wanted is not None:
        area = _common(covered, wanted, pan.name)
        notes.append(
            f"of PAN, {area.width} x {area.height} pixels from column {area.col}, row {area.row} were wanted"
        )
        _log.info("%s: %s", pan.name, notes[-1])
    return _grid(pan, ms, area, is_final=True), area, notes


def _grid(pan: DatasetReader, ms: DatasetReader, area: Window, is_final: bool) -> Grid:
    """Grid of a part of PAN; drift is only looked at where that part is the final one."""
    if pan.crs and ms.crs and pan.crs != ms.crs:
        raise SceneError(
            f"{ms.name}: MS has another coordinate system than PAN; reproject one onto the other"
        )
    if pan.transform.is_identity or ms.transform.is_identity:
        return grid_from_shapes(pan.shape, ms.shape).part(area.row, area.col)
    if is_final:
        return grid_from_transforms(pan.transform, ms.transform, area)
    return grid_from_transforms(pan.transform, ms.transform, area, drift_limit=None)


def part_of(
    pan: DatasetReader, extent: tuple[float, float, float, float] | None, window: Window | None
) -> Window | None:
    """The part that is asked for, in PAN pixels; it may reach beyond PAN. An extent goes before a window.

    Raises SceneError.
    """
    if extent is None:
        return window
    west, south, east, north = extent
    if not (west < east and south < north):
        raise SceneError(f"an extent of {extent} is empty; give west,south,east,north")
    if pan.transform.is_identity:
        raise SceneError(f"{pan.name}: PAN has no georeferencing; give its part as a window of pixels")
    corners = [
        ~pan.transform @ corner for corner in ((west, south), (west, north), (east, south), (east, north))
    ]
    # Pixels whose centres lie inside; of a rotated PAN, all that the extent touches and some more.
    first_col, first_row = (math.ceil(min(place) - 0.5) for place in zip(*corners, strict=True))
    end_col, end_row = (math.ceil(max(place) - 0.5) for place in zip(*corners, strict=True))
    return Window(first_row, first_col, end_row - first_row, end_col - first_col)


def _common(covered: Window, wanted: Window, name: str) -> Window:
    row, col = max(covered.row, wanted.row), max(covered.col, wanted.col)
    bottom = min(covered.row + covered.height, wanted.row + wanted.height)
    right = min(covered.col + covered.width, wanted.col + wanted.width)
    if bottom <= row or right <= col:
        raise SceneError(
            f"{name}: the part that is wanted lies outside the {covered.width} x {covered.height} pixels that"
            " PAN and MS show"
        )
    return Window(row, col, bottom - row, right - col)


def ground_of(pan: DatasetReader, ms: DatasetReader) -> Ground:
    """That of PAN; a PAN without a coordinate system has that of MS."""
    ground = Ground.of(pan)
    return ground if ground.crs else replace(ground, crs=ms.crs)
