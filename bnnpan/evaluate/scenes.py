"""From what `--data` names to the scenes to fuse."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from bnnpan.data.collection_file import FULL_KEYS, layout, open_file
from bnnpan.data.full_pairs import load_full_pairs
from bnnpan.data.manifest import BGRN, Split, read_items, stored_bands
from bnnpan.data.pairs import load_pairs
from bnnpan.data.pancollection import PanCollection, load_full_collection
from bnnpan.data.source import manifest_path
from bnnpan.evaluate.scene import Scene
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError

__all__ = ["Resolution", "Wanted", "open_scenes"]

log = logging.getLogger(__name__)

Resolution = Literal["reduced", "full", "both"]

_EIGHT_BANDS = ("coastal", "blue", "green", "yellow", "red", "red_edge", "nir1", "nir2")


@dataclass(frozen=True)
class Wanted:
    """Which scenes to open and how.

    `bands` and `ratio` are what the networks take; without networks both are None, and every scene comes with
    its own. `names` are those of pairs; None is all. PanCollection files know no split and no phase but the
    toolbox's.
    """

    resolution: Resolution = "reduced"
    split: Split = "val"
    phase: Phase = "toolbox"
    bands: tuple[str, ...] | None = None
    ratio: int | None = None
    names: tuple[str, ...] | None = None


def open_scenes(data: Sequence[Path], wanted: Wanted) -> list[Scene]:
    """Scenes of manifests, their folders and PanCollection files, reduced resolution first.

    Raises `ConfigError` if there is none, a wanted name is missing or a file does not suit, `SceneError` for
    an image that cannot be used.
    """
    opened = [_published(path, wanted) if path.suffix == ".h5" else _listed(path, wanted) for path in data]
    scenes = sorted(chain.from_iterable(opened), key=lambda scene: scene.resolution == "full")
    for (name, _), times in Counter((scene.name, scene.resolution) for scene in scenes).items():
        if times > 1:
            raise ConfigError(f"{name} is in --data more than once: evaluate the data apart, or rename one")
    found = {scene.name for scene in scenes}
    for name in wanted.names or ():
        if name not in found:
            raise ConfigError(f"{name} is not among the {_kind(wanted)}: choose from {_choice(data, wanted)}")
    if not scenes:
        raise ConfigError(f"{', '.join(map(str, data))}: there are no {_kind(wanted)}: give other data")
    return scenes


def _kind(wanted: Wanted) -> str:
    resolution = "" if wanted.resolution == "both" else f" at {wanted.resolution} resolution"
    bands = "" if wanted.bands is None else f", ratio {wanted.ratio} and the bands {', '.join(wanted.bands)}"
    return f"pairs{resolution} of split {wanted.split}{bands}"


def _choice(data: Sequence[Path], wanted: Wanted) -> str:
    names = {
        item["name"]: None
        for path in data
        if path.suffix != ".h5"
        for item in read_items(manifest_path(path), wanted.split)
    }
    return ", ".join(names) or "NAME_0, NAME_1, ... for a file NAME.h5"


def _listed(path: Path, wanted: Wanted) -> Iterator[Scene]:
    """Scenes of a manifest."""
    manifest = manifest_path(path)
    for item in read_items(manifest, wanted.split):
        if wanted.names is not None and item["name"] not in wanted.names:
            continue
        bands = wanted.bands or tuple(stored_bands(item))
        if not bands:
            raise ConfigError(f"{manifest}: {item['name']} does not state `band_names`: add them")
        ratio = wanted.ratio or item.get("ratio") or 4
        choice = (manifest, wanted.split, bands, ratio)
        if wanted.resolution != "full":
            phase: Phase = "toolbox" if "gt" in item["files"] else wanted.phase
            yield from (Scene.reduced(pair, phase) for pair in load_pairs(*choice, phase, [item["name"]]))
        if wanted.resolution != "reduced":
            full = load_full_pairs(*choice, wanted.phase, [item["name"]])
            yield from (Scene.full(pair, wanted.phase) for pair in full)


def _published(path: Path, wanted: Wanted) -> Iterator[Scene]:
    """Images of a PanCollection file."""
    if wanted.phase != "toolbox":
        log.warning("%s: its LMS is of phase toolbox, whatever phase is asked for", path)
    with open_file(path, FULL_KEYS) as file:
        has_truth = "gt" in file
        roles = _roles(path, *layout(path, file, "lms"), wanted)
    if has_truth and wanted.resolution != "full":
        with PanCollection(path) as collection:
            collection.check_phase()
            scenes = [Scene.reduced(pair, "toolbox") for pair in collection.pairs(roles, len(collection))]
    elif not has_truth and wanted.resolution != "reduced":
        scenes = [Scene.full(pair, "toolbox") for pair in load_full_collection(path, roles)]
    else:
        scenes = []
    yield from (scene for scene in scenes if wanted.names is None or scene.name in wanted.names)


def _roles(path: Path, bands: int, ratio: int, wanted: Wanted) -> tuple[str, ...]:
    """Names of a file's bands; they must be as many as the networks take."""
    if wanted.bands is None:
        known = {len(roles): roles for roles in (BGRN, _EIGHT_BANDS)}
        return known.get(bands) or tuple(f"band {number}" for number in range(1, bands + 1))
    if (bands, ratio) != (len(wanted.bands), wanted.ratio):
        raise ConfigError(
            f"{path} has {bands} bands at ratio {ratio}, the network takes {len(wanted.bands)} at ratio"
            f" {wanted.ratio}: give another file"
        )
    return wanted.bands
