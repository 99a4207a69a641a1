"""From what `--data` and `--validation` name to training patches and validation pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bnnpan.config import Experiment
from bnnpan.data.batch import Arrays
from bnnpan.data.pairs import Pair, load_pairs
from bnnpan.data.pancollection import PanCollection
from bnnpan.data.patches import VARIANT_GAINS, PatchSampler
from bnnpan_runtime.errors import ConfigError

log = logging.getLogger(__name__)

MANIFEST_NAME = "manifest.json"
_VALIDATION_PATCHES = 64  # of a PanCollection file; its test files have 20 images


class PatchSource(Protocol):
    """Endless training patches whose position can be saved and restored."""

    def sample(self, batch: int) -> Arrays:
        """The next `batch` patches, float32 in network units."""
        ...

    def state(self) -> Any:
        """JSON-able position of the stream."""
        ...

    def set_state(self, state: Any) -> None:
        """Continue from a saved position."""
        ...


@dataclass(frozen=True)
class OpenedData:
    """Training patches, validation pairs, and what was trained on: names and a SHA-256 of the content."""

    source: PatchSource
    validation: list[Pair]
    names: list[str]
    digest: str


def open_data(data: Path, experiment: Experiment, validation: Path | None = None) -> OpenedData:
    """Open a manifest (or its folder) or a PanCollection file; likewise for validation.

    Of a manifest the training split is trained on and, unless `validation` names other data, the validation
    split validated on; files of the test split are never opened. A PanCollection file has no splits: without
    `validation` there is none. Raises ConfigError.
    """
    if data.suffix == ".h5":
        collection = _pancollection(data, experiment)
        pairs = [] if validation is None else _validation_pairs(validation, experiment)
        return OpenedData(collection, pairs, [data.name], collection.digest())
    config, ratio = experiment.data, experiment.model.ratio
    manifest = manifest_path(data)
    training = load_pairs(manifest, "train", config.bands, ratio, config.phase, variant_gains=VARIANT_GAINS)
    for kind in config.leave_out:
        if all(pair.kind != kind for pair in training):
            raise ConfigError(f"{manifest}: data.leave_out names {kind}, of which there is no training pair")
    unseen = [pair for pair in training if pair.kind in config.leave_out]
    training = [pair for pair in training if pair.kind not in config.leave_out]
    if not training:
        raise ConfigError(f"{manifest}: no training pair has the bands {', '.join(config.bands)}")
    sampler = PatchSampler(
        training, config.weights, config.patch, experiment.training.seed, units=experiment.model.units
    )
    pairs = unseen + _validation_pairs(validation or manifest, experiment)
    return OpenedData(sampler, pairs, [pair.name for pair in training], _digest(training))


def manifest_path(data: Path) -> Path:
    """The manifest of a data folder, or the file itself. Raises ConfigError when there is none."""
    path = data / MANIFEST_NAME if data.is_dir() else data
    if not path.is_file():
        raise ConfigError(f"{path}: no such data manifest; give its path or its folder with --data")
    return path


def _validation_pairs(path: Path, experiment: Experiment) -> list[Pair]:
    config = experiment.data
    if path.suffix != ".h5":
        return load_pairs(manifest_path(path), "val", config.bands, experiment.model.ratio, config.phase)
    if path.stem.startswith("test"):
        log.warning("%s: is a test file by its name; what is chosen by it must not be tested on it", path)
    with _pancollection(path, experiment) as collection:
        return collection.pairs(config.bands, _VALIDATION_PATCHES)


def _digest(pairs: Iterable[Pair]) -> str:
    digest = sha256()
    for pair in pairs:
        digest.update(repr((pair.name, pair.bands, pair.gt.shape, pair.dn_scale)).encode())
        for array in (pair.pan, pair.gt, pair.valid):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _pancollection(path: Path, experiment: Experiment) -> PanCollection:
    model, data = experiment.model, experiment.data
    source = PanCollection(path, experiment.training.seed, recompute=data.recompute_lms, units=model.units)
    if (source.bands, source.ratio) != (model.bands, model.ratio):
        raise ConfigError(
            f"{path} has {source.bands} bands at ratio {source.ratio}, the configuration has"
            f" model.bands = {model.bands} and model.ratio = {model.ratio}"
        )
    if source.bit_depth != data.bit_depth:
        raise ConfigError(
            f"{path} has {source.bit_depth} bits by its name, data.bit_depth is {data.bit_depth};"
            " make them equal"
        )
    if data.phase != "toolbox":
        raise ConfigError(f'{path}: PanCollection files need data.phase = "toolbox" in the configuration')
    source.check_phase()
    return source
