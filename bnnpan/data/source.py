"""From what `--data` names to training patches and validation pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bnnpan.config import Experiment
from bnnpan.data.pairs import Pair, load_pairs
from bnnpan.data.pancollection import PanCollection
from bnnpan.data.patches import VARIANT_GAINS, Batch, PatchSampler
from bnnpan_runtime.errors import ConfigError

MANIFEST_NAME = "manifest.json"


class PatchSource(Protocol):
    """Endless training patches whose position can be saved and restored."""

    def sample(self, batch: int) -> Batch:
        """PAN `(n, 1, p, p)`, LMS and truth `(n, bands, p, p)`, float32 in network units."""
        ...

    def state(self) -> Any:
        """JSON-able position of the stream."""
        ...

    def set_state(self, state: Any) -> None:
        """Continue from a saved position."""
        ...


@dataclass(frozen=True)
class OpenedData:
    """Training patches, validation pairs, and the names of what was trained on."""

    source: PatchSource
    validation: list[Pair]
    names: list[str]


def open_data(data: Path, experiment: Experiment) -> OpenedData:
    """Open a manifest (or its folder), or a PanCollection training file. Raises ConfigError."""
    config, ratio = experiment.data, experiment.model.ratio
    if data.suffix == ".h5":
        return OpenedData(_pancollection(data, experiment), [], [data.name])
    manifest = manifest_path(data)
    pairs = load_pairs(manifest, "train", config.bands, ratio, config.phase, variant_gains=VARIANT_GAINS)
    if not pairs:
        raise ConfigError(f"{manifest}: no training pair has the bands {', '.join(config.bands)}")
    sampler = PatchSampler(pairs, config.weights, config.patch, experiment.training.seed)
    validation = load_pairs(manifest, "val", config.bands, ratio, config.phase)
    return OpenedData(sampler, validation, [pair.name for pair in pairs])


def manifest_path(data: Path) -> Path:
    """The manifest of a data folder, or the file itself. Raises ConfigError when there is none."""
    path = data / MANIFEST_NAME if data.is_dir() else data
    if not path.is_file():
        raise ConfigError(f"{path}: no such data manifest; give its path or its folder with --data")
    return path


def _pancollection(path: Path, experiment: Experiment) -> PanCollection:
    source = PanCollection(path, seed=experiment.training.seed)
    model, data = experiment.model, experiment.data
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
