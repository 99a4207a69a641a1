"""Other runs that a run builds on: the teacher it imitates, and the weights it starts from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from bnnpan.checkpoint import file_digest, load_model
from bnnpan.config import Experiment
from bnnpan.model import PanSharpener
from bnnpan_runtime.errors import ConfigError

log = logging.getLogger(__name__)

_COMMON = {"teacher": ("bands", "ratio", "units"), "initial": ("bands", "ratio", "architecture")}
"""Settings of the network that a run must share with one that it builds on."""


@dataclass(frozen=True)
class Origins:
    """Networks of other runs, and the SHA-256 of each one's file by its role."""

    teacher: PanSharpener | None
    initial: PanSharpener | None
    digests: dict[str, str]


def load_origins(experiment: Experiment, device: torch.device) -> Origins:
    """Load the runs that the configuration names. Raises ConfigError if one is missing or of another kind."""
    training = experiment.training
    digests = {}
    networks: dict[str, PanSharpener | None] = {"teacher": None, "initial": None}
    for role, run in (("teacher", training.teacher), ("initial", training.initial)):
        if run:
            networks[role] = _load(role, Path(run), experiment).to(device).requires_grad_(False)
            digests[role] = file_digest(Path(run))
    return Origins(networks["teacher"], networks["initial"], digests)


def start_from(model: PanSharpener, initial: PanSharpener) -> None:
    """Give `model` every weight that `initial` has too; its others, such as thresholds, stay as they are.

    Raises ConfigError if a weight has another shape, so that the two are not one network in two precisions.
    """
    own, given = model.state_dict(), initial.state_dict()
    common = {name: value for name, value in given.items() if name in own}
    for name, value in common.items():
        if value.shape != own[name].shape:
            raise ConfigError(
                f"training.initial: {name} is {tuple(value.shape)} there and {tuple(own[name].shape)} here;"
                " name a run of a network of the same size"
            )
    new = sorted(own.keys() - given.keys())
    if new:
        log.warning("training.initial: has no %s; these start as new ones", ", ".join(new))
    model.load_state_dict(common, strict=False)


def _load(role: str, run: Path, experiment: Experiment) -> PanSharpener:
    network, other, _ = load_model(run)
    for name in _COMMON[role]:
        if getattr(network.config, name) != getattr(experiment.model, name):
            raise ConfigError(
                f"training.{role}: {run} has model.{name} = {getattr(network.config, name)},"
                f" this experiment {getattr(experiment.model, name)}; name a run of the same kind"
            )
    if other.data.bands != experiment.data.bands:
        raise ConfigError(f"training.{role}: {run} has bands in another order: {', '.join(other.data.bands)}")
    return network
