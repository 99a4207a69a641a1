"""What is kept of the fused images to be drawn: a crop of each, and how its values are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bnnpan.evaluate.pictures import most_detailed
from bnnpan.evaluate.scene import Image, Scene

__all__ = ["Exhibit", "Gallery"]

Distribution = list[NDArray[np.float64]]
"""Shares of the valid pixels in every bin of every band."""

_CROPS = (128, 96, 64)  # sides in PAN pixels; the largest that finds a place without nodata

_MOST_BINS = 64

_MOST_SCENES = 6  # per resolution; a page with all twenty images of a test set would have 50 MB
_LOWEST, _HIGHEST = 1, 99  # percentiles of the reference between which values are counted


@dataclass(frozen=True)
class Exhibit:
    """One scene in pictures; images are crops in DN, `(bands, height, width)`."""

    name: str
    resolution: str
    bands: tuple[str, ...]
    pan: Image
    lms: Image
    gt: Image | None
    valid: NDArray[np.bool_]
    edges: list[NDArray[np.float64]]
    """Of every band's bins in DN; bins are whole DN wide, else integer data would look like a comb."""
    reference: Distribution
    """Of the ground truth, or of the LMS without one."""
    crops: dict[str, Image] = field(default_factory=dict)
    """Method -> its image."""
    distributions: dict[str, Distribution] = field(default_factory=dict)
    """Method -> how its values are distributed over the whole scene."""


class Gallery:
    """Collects a few scenes of each resolution, spread evenly over all."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.exhibits: dict[tuple[str, str], Exhibit] = {}
        self.left_out = 0
        self._windows: dict[tuple[str, str], tuple[slice, slice]] = {}
        for resolution in ("reduced", "full"):
            of_kind = [scene for scene in scenes if scene.resolution == resolution]
            chosen = np.unique(np.linspace(0, len(of_kind) - 1, _MOST_SCENES).astype(int)) if of_kind else []
            self.left_out += len(of_kind) - len(chosen)
            for index in chosen:
                self._open(of_kind[index])

    def add(self, scene: Scene, method: str, image: Image) -> None:
        """Keep what is drawn of a fused image, if its scene is drawn at all."""
        exhibit = self.exhibits.get(_key(scene))
        if exhibit is not None:
            exhibit.crops[method] = image[:, *self._windows[_key(scene)]].copy()
            exhibit.distributions[method] = _distribution(image, scene.valid, exhibit.edges)

    def _open(self, scene: Scene) -> None:
        if not scene.valid.any():
            return
        rows, columns = self._windows[_key(scene)] = most_detailed(scene.pan[0], scene.valid, _CROPS)
        edges = [_edges(band[scene.valid]) for band in scene.reference]
        self.exhibits[_key(scene)] = Exhibit(
            name=scene.name,
            resolution=scene.resolution,
            bands=scene.bands,
            pan=scene.pan[:, rows, columns],
            lms=scene.lms[:, rows, columns],
            gt=None if scene.gt is None else scene.gt[:, rows, columns],
            valid=scene.valid[rows, columns],
            edges=edges,
            reference=_distribution(scene.reference, scene.valid, edges),
        )


def _key(scene: Scene) -> tuple[str, str]:
    return scene.name, scene.resolution


def _edges(pixels: Image) -> NDArray[np.float64]:
    low, high = (np.round(np.percentile(pixels, share)) for share in (_LOWEST, _HIGHEST))
    step = max(1, np.ceil((high - low + 1) / _MOST_BINS))
    return np.arange(low - 0.5, high + 0.5 + step, step)


def _distribution(image: Image, valid: NDArray[np.bool_], edges: list[NDArray[np.float64]]) -> Distribution:
    pixels = image[:, valid]
    counts = (np.histogram(band, of_band)[0] for band, of_band in zip(pixels, edges, strict=True))
    return [of_band / pixels.shape[1] for of_band in counts]
