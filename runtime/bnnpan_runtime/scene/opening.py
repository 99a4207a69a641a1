"""Open PAN and MS, check that they belong together and to the bundle, and find what both show."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from bnnpan_runtime.contract import Calibration, Manifest
from bnnpan_runtime.errors import MismatchError, SceneError
from bnnpan_runtime.grid import same_grid
from bnnpan_runtime.scene.bands import BandName, Choice, choose_bands
from bnnpan_runtime.scene.depth import dn_scale
from bnnpan_runtime.scene.pair import Scene, SceneOptions
from bnnpan_runtime.scene.placing import ground_of, placed
from bnnpan_runtime.scene.projections import intact_projections
from bnnpan_runtime.scene.raster import (
    AnyPath,
    MsPath,
    Part,
    Raster,
    alpha_bands,
    ms_paths,
    open_raster,
    whole_raster,
)

__all__ = ["open_pair", "open_scene"]

_log = logging.getLogger(__name__)

_DTYPES = ("uint8", "uint16", "int16", "float32")
SMALLEST_RATIO, LARGEST_RATIO = 2, 16
"""MS to PAN pixel size, as bundles may have it."""


@contextmanager
def open_scene(
    pan: AnyPath,
    ms: MsPath,
    manifest: Manifest | None,
    bit_depth: int | None = None,
    options: SceneOptions = SceneOptions(),  # noqa: B008  # frozen
) -> Iterator[Scene]:
    """Open PAN and MS and check everything that can be checked without reading pixels.

    `bit_depth` defaults to what the file declares (NBITS), else to the bundle's; uint8 scenes have 8. Without
    a manifest any bands and any ratio from 2 on will do. Raises SceneError; MismatchError if the scene is not
    one for this bundle.
    """
    wanted = None if manifest is None else manifest.band_roles
    taker = "" if manifest is None else f"bundle {manifest.id}"
    with open_pair(pan, ms, options, wanted, taker) as scene:
        _check_ratio(scene, manifest)
        patch = (Calibration() if manifest is None else manifest.calibration).patch
        if min(scene.height, scene.width) < patch:
            raise SceneError(
                f"{scene.pan.name}: PAN has {scene.width} x {scene.height} pixels that MS shows and that are"
                f" wanted; it takes {patch} x {patch} or more to calibrate"
            )
        yield replace(scene, dn_scale=dn_scale(scene, bit_depth, manifest))


@contextmanager
def open_pair(
    pan: AnyPath,
    ms: MsPath,
    options: SceneOptions,
    wanted: Sequence[str] | None = None,
    taker: str = "the product",
) -> Iterator[Scene]:
    """Open PAN and MS as a scene of any size and ratio, DN being units.

    `wanted` are its bands, None for all; `taker` is what wants them, in messages.

    Raises like `open_scene`.
    """
    with ExitStack() as stack:
        with intact_projections(os.fspath(pan), SceneError):
            scene = _opened(stack, pan, ms, options, wanted, taker)
        yield scene


def _opened(
    stack: ExitStack,
    pan: AnyPath,
    ms: MsPath,
    options: SceneOptions,
    wanted: Sequence[str] | None,
    taker: str,
) -> Scene:
    pan_raster = _pan_raster(stack.enter_context(open_raster("PAN", pan)))
    files = [stack.enter_context(open_raster("MS", path)) for path in ms_paths(ms)]
    if not files:
        raise SceneError("no MS is given; name one file, or one per band")
    _check_files(files)
    ms_raster, choice, file_bands = _ms_raster(files, options, wanted, taker)
    _check_dtypes(pan_raster, ms_raster)
    notes = [_band_note(ms_raster, files, choice, wanted)] if wanted or options.bands else []
    grid, area, remarks = placed(pan_raster.first, ms_raster.first, options)
    return Scene(
        pan=pan_raster,
        ms=ms_raster,
        grid=grid,
        dn_scale=1.0,
        area=area,
        ground=ground_of(pan_raster.first, ms_raster.first).part(area),
        roles=choice.roles,
        order=choice.order,
        file_bands=file_bands,
        notes=(*notes, *remarks),
    )


def _pan_raster(dataset: DatasetReader) -> Raster:
    alpha = alpha_bands(dataset)
    bands = [band for band in range(1, dataset.count + 1) if band not in alpha]
    if len(bands) != 1:
        raise SceneError(
            f"{dataset.name}: PAN must have one band, this has {len(bands)}; are PAN and MS swapped?"
        )
    _check_no_palette(dataset)
    return _raster_of_dn([Part(dataset, tuple(bands), alpha[0] if alpha else None)])


def _check_no_palette(dataset: DatasetReader) -> None:
    if ColorInterp.palette in dataset.colorinterp:
        raise SceneError(
            f"{dataset.name}: pixels are numbers of a palette's colours; expand them (rio or gdal_translate"
            " -expand) or use the original measurements"
        )


def _check_files(files: list[DatasetReader]) -> None:
    """Raise SceneError unless the files of one MS share grid and dtype."""
    first = files[0]
    for other in files:
        _check_no_palette(other)
        if other.shape != first.shape:
            what = f"{other.width} x {other.height} pixels, {first.name} has {first.width} x {first.height}"
        elif other.crs != first.crs or other.transform.is_identity != first.transform.is_identity:
            what = f"another coordinate system than {first.name}"
        elif other is not first and not same_grid(first.transform, other.transform, first.shape):
            what = f"another grid than {first.name}"
        elif other.dtypes[0] != first.dtypes[0]:
            what = f"{other.dtypes[0]} pixels, {first.name} has {first.dtypes[0]}"
        else:
            continue
        raise SceneError(f"{other.name} has {what}; all files of MS must share one grid and type")


def _ms_raster(
    files: list[DatasetReader], options: SceneOptions, wanted: Sequence[str] | None, taker: str
) -> tuple[Raster, Choice, int]:
    """MS, how its bands were chosen, and of how many."""
    alphas = [alpha_bands(dataset) for dataset in files]
    everything = sum(dataset.count for dataset in files)
    # GDAL calls a fourth band of bytes transparency where its writer said nothing.
    if everything == len(options.bands or wanted or ()):
        alphas = [() for _ in files]
    bands = [
        (dataset, band, alpha[0] if alpha else None)
        for dataset, alpha in zip(files, alphas, strict=True)
        for band in range(1, dataset.count + 1)
        if band not in alpha
    ]
    names = [
        _band_name(dataset, band, alone=dataset.count == 1 and len(files) > 1) for dataset, band, _ in bands
    ]
    choice = choose_bands(names, wanted, options.bands, files[0].name, taker)
    parts: list[Part] = []
    for dataset, band, alpha in (bands[place] for place in choice.order):
        if parts and parts[-1].dataset is dataset:
            parts[-1] = replace(parts[-1], bands=(*parts[-1].bands, band))
        else:
            parts.append(Part(dataset, (band,), alpha))
    return _raster_of_dn(parts), choice, len(bands)


def _band_name(dataset: DatasetReader, band: int, alone: bool) -> BandName:
    stem = Path(dataset.name).stem if alone else None
    return BandName(dataset.descriptions[band - 1], dataset.colorinterp[band - 1].name, stem)


def _band_note(ms: Raster, files: list[DatasetReader], choice: Choice, wanted: Sequence[str] | None) -> str:
    """Which band is taken for which role, without names of files: they do not belong to the product."""
    places = [(files.index(part.dataset) + 1, band) for part in ms.parts for band in part.bands]
    where = [f"file {file} band {band}" if len(files) > 1 else f"band {band}" for file, band in places]
    roles = wanted or choice.roles
    listed = ", ".join(f"{role} {place}" for role, place in zip(roles, where, strict=True))
    note = f"bands of MS taken {choice.how}: {listed}"
    if choice.is_doubtful:
        _log.warning("%s: %s; its colours say otherwise, name the bands with --bands", ms.name, note)
    else:
        _log.info("%s: %s", ms.name, note)
    return note


def _raster_of_dn(parts: Sequence[Part]) -> Raster:
    """Their planes. Raises SceneError for pixels that are no DN, before anything else is made of them."""
    for part in parts:
        others = {str(part.dataset.dtypes[band - 1]) for band in part.bands} - set(_DTYPES)
        if others:
            raise SceneError(
                f"{part.dataset.name}: pixels are {min(others)}, must be DN of {', '.join(_DTYPES[:-1])} or"
                f" {_DTYPES[-1]}"
            )
    return whole_raster(parts)


def _check_dtypes(pan: Raster, ms: Raster) -> None:
    if {pan.dtype} != set(ms.per_plane("dtypes")):
        raise SceneError(f"{pan.name}: PAN is {pan.dtype}, MS is {ms.dtype}; store both with the same dtype")


def _check_ratio(scene: Scene, manifest: Manifest | None) -> None:
    ratio = scene.grid.ratio
    if manifest is not None and ratio != manifest.network.ratio:
        raise MismatchError(
            f"{scene.pan.name}: PAN and MS pixels are in a ratio of {ratio}, bundle {manifest.id}"
            f" is made for {manifest.network.ratio}; use a bundle of that ratio"
        )
    if not SMALLEST_RATIO <= ratio <= LARGEST_RATIO:
        raise SceneError(
            f"{scene.pan.name}: PAN and MS pixels are in a ratio of {ratio}, must be {SMALLEST_RATIO} to"
            f" {LARGEST_RATIO}; are these a PAN and an MS?"
        )
