"""One experiment as one TOML file, read into frozen dataclasses; an unknown or ill-typed key is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bnnpan.model.config import ModelConfig
from bnnpan_runtime.errors import ConfigError

_MAY_BE_ZERO = ("seed", "steps")


@dataclass(frozen=True)
class DataConfig:
    """What the network is trained on.

    bands      band roles, in the order of the network's MS planes
    sensor     name that the bundle will carry
    bit_depth  bits per DN the bundle assumes for 16-bit scenes
    phase      where MS samples lie on the PAN grid: true centres, or the toolbox's half pixel further
    patch      side of a training patch in PAN pixels
    weights    share of patches by kind of pair (first part of a pair's name); kinds not named weigh 1

    A PanCollection file has patches of its own size and no kinds: `patch` and `weights` mean nothing to it.
    """

    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    sensor: str = "generic"
    bit_depth: int = 11
    phase: Literal["centred", "toolbox"] = "centred"
    patch: int = 64
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageConfig:
    """Length and pace of one training stage: Adam with warm-up and a cosine down to 2 % of the rate."""

    steps: int
    batch: int = 8
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class TrainingConfig:
    """The three stages of the paper and how often to look.

    compile     use torch.compile (needs a C++ compiler; several times faster on CPU)
    threads     CPU threads of PyTorch; results are reproducible for the same number
    """

    stage_one: StageConfig = field(default_factory=lambda: StageConfig(10_000))
    stage_two: StageConfig = field(default_factory=lambda: StageConfig(2_000, batch=32))
    stage_three: StageConfig = field(default_factory=lambda: StageConfig(4_000, learning_rate=5e-4))
    seed: int = 0
    clip_norm: float = 1.0
    validate_every: int = 1_000
    checkpoint_every: int = 500
    compile: bool = False
    threads: int = 1


@dataclass(frozen=True)
class Experiment:
    """Everything `bnnpan train` needs besides the data itself."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; `parse_experiment` restores an equal experiment."""
        return asdict(self)


def load_experiment(path: Path) -> Experiment:
    """Read a TOML file. Raises ConfigError naming file and key."""
    try:
        with path.open("rb") as file:
            return parse_experiment(tomllib.load(file), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def parse_experiment(value: Mapping[str, Any], where: str) -> Experiment:
    """Build an experiment from plain values. Raises ConfigError naming the key."""
    experiment: Experiment = _build(Experiment, value, where)
    if len(experiment.data.bands) != experiment.model.bands:
        raise ConfigError(
            f"{where}: model.bands is {experiment.model.bands}, data.bands names {len(experiment.data.bands)}"
        )
    if experiment.data.patch % 2:
        raise ConfigError(f"{where}: data.patch is {experiment.data.patch}, must be even")
    return experiment


def _build(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a table")
    known = {f.name for f in fields(kind)}
    hints = get_type_hints(kind)
    arguments = {}
    for name, item in value.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown key {name!r}; known: {', '.join(sorted(known))}")
        arguments[name] = _convert(hints[name], item, f"{where}: {name}")
        if type(arguments[name]) in (int, float) and not arguments[name] and name not in _MAY_BE_ZERO:
            raise ConfigError(f"{where}: {name} must not be 0")
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if is_dataclass(hint):
        return _build(hint, value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(repr, get_args(hint)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: {value!r} is not a list")
        return tuple(_convert(get_args(hint)[0], item, where) for item in value)
    if origin is not None:  # a mapping of names to numbers
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: {value!r} is not a table")
        return {str(k): _convert(float, v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: {value!r} is not of type {hint.__name__}")
    if hint in (int, float) and not value >= 0:
        raise ConfigError(f"{where}: {value} must not be negative")
    return value
