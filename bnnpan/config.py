"""One experiment as one TOML file, read into frozen dataclasses; an unknown or ill-typed key is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bnnpan.model.config import ModelConfig
from bnnpan_runtime.errors import ConfigError


@dataclass(frozen=True)
class DataConfig:
    """What the network is trained on.

    bands      band roles, in the order of the network's MS planes
    sensor     name that the bundle will carry
    bit_depth  bits per DN the bundle assumes for 16-bit scenes
    phase      where MS samples lie on the PAN grid: true centres, or the toolbox's half pixel further
    patch      side of a training patch in PAN pixels
    weights    share of patches by kind of pair (first part of a pair's name); kinds not named weigh 1
    leave_out  kinds not trained on but validated on: how the network does on a sensor it has never seen
    recompute_lms    make MS and LMS of a PanCollection file anew from its ground truth

    A PanCollection file has patches of its own size and no kinds: `patch` and `weights` mean nothing to it.
    """

    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    sensor: str = "generic"
    bit_depth: int = 11
    phase: Literal["centred", "toolbox"] = "centred"
    patch: int = 64
    weights: Mapping[str, float] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    recompute_lms: bool = False


@dataclass(frozen=True)
class StageConfig:
    """Length and pace of one training stage; no steps leave it out."""

    steps: int
    batch: int = 8
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class TrainingConfig:
    """The three stages of the paper, how they learn and how often to look.

    The other architectures have the third stage alone.

    seed              of the first weights, the patches and the noise of stage II
    optimizer         both with betas 0.9 and 0.99; "adamw" decouples the decay from the gradient
    weight_decay      pulls filters and matrices towards 0, never thresholds, slopes and biases
    schedule          after a short warm-up, "cosine" falls to 2 % of the stage's rate, "step" multiplies it
                      by `step_factor` each time `step_share` of the stage has passed
    clip_norm         largest norm of a step's gradient
    average           decay per step of a moving average of the weights, 0 for none; what is validated, what a
                      stage hands on and what is saved are then the averaged weights
    sam_weight        weight of the mean spectral angle in radians, next to L1
    q_weight          weight of 1 - Q, the quality index of 8 x 8 windows, next to L1
    teacher           finished run (folder or file) whose result is imitated, such as the full-precision twin
    teacher_weight    weight of the L1 distance to the teacher's result
    initial           finished run whose weights training starts from
    validate_every, checkpoint_every    in steps
    device            "auto" takes CUDA where there is one
    deterministic     allow only operations that repeat to the bit, which a resume on CUDA needs; slower there
    compile           use torch.compile (needs a C++ compiler; several times faster on CPU)
    threads           CPU threads of PyTorch; results are reproducible for the same number
    tensorboard       write event files as well (needs the extra `tensorboard`)
    """

    stage_one: StageConfig = field(default_factory=lambda: StageConfig(10_000))
    stage_two: StageConfig = field(default_factory=lambda: StageConfig(2_000, batch=32))
    stage_three: StageConfig = field(default_factory=lambda: StageConfig(4_000, learning_rate=5e-4))
    seed: int = 0
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["cosine", "step"] = "cosine"
    step_share: float = 0.25
    step_factor: float = 0.5
    clip_norm: float = 1.0
    average: float = 0.0
    sam_weight: float = 0.0
    q_weight: float = 0.0
    teacher: str = ""
    teacher_weight: float = 0.0
    initial: str = ""
    validate_every: int = 1_000
    checkpoint_every: int = 500
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = False
    compile: bool = False
    threads: int = 1
    tensorboard: bool = False


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
    _check(experiment, where)
    return experiment


def _check(experiment: Experiment, where: str) -> None:
    model, data, training = experiment.model, experiment.data, experiment.training
    if len(data.bands) != model.bands:
        raise ConfigError(f"{where}: model.bands is {model.bands}, data.bands names {len(data.bands)}")
    if data.patch % 2:
        raise ConfigError(f"{where}: data.patch is {data.patch}, must be even")
    for name in ("average", "step_factor"):
        if getattr(training, name) >= 1:
            raise ConfigError(f"{where}: training.{name} is {getattr(training, name)}, must be below 1")
    if model.architecture != "bnnpan" and (training.stage_one.steps or training.stage_two.steps):
        raise ConfigError(
            f"{where}: {model.architecture!r} has no prior, which stages one and two are for;"
            " set training.stage_one.steps and training.stage_two.steps to 0"
        )
    if bool(training.teacher) != bool(training.teacher_weight):
        raise ConfigError(f"{where}: training.teacher and training.teacher_weight need each other")


def _build(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a table")
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    arguments = {}
    for name, item in value.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown key {name!r}; known: {', '.join(sorted(known))}")
        arguments[name] = number = _convert(hints[name], item, f"{where}: {name}")
        # 0 is for what is off by default, and for lengths that have no default.
        may_be_zero = known[name].default in (0, MISSING)
        if type(number) in (int, float) and number == 0 and not may_be_zero:
            raise ConfigError(f"{where}: {name} must not be 0")
    try:
        return kind(**arguments)
    except (TypeError, ConfigError) as error:
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
