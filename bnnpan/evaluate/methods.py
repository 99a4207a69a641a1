"""What fuses: trained networks and classical methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bnnpan.baselines import BASELINES, fuse
from bnnpan.checkpoint import file_digest, load_model
from bnnpan.config import Experiment
from bnnpan.evaluate.network import fuse_frozen
from bnnpan.evaluate.scene import Image, Scene
from bnnpan.model import ModelConfig, PanSharpener
from bnnpan.model.cost import network_cost
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import ConfigError

__all__ = ["INTERPOLATION", "Method", "Network", "baseline_methods", "common_phase", "load_networks"]

INTERPOLATION = "EXP"
"""Plain interpolation, which every method is given. It does not compete: by construction it is among the best
in spectral distortion."""

_MODEL_STEM = "model"  # of a run's model file, whose folder is its name


@dataclass(frozen=True)
class Method:
    """A way to fuse a scene into `(bands, height, width)` in DN."""

    name: str
    fuse: Callable[[Scene], Image]
    is_network: bool


@dataclass(frozen=True)
class Network:
    """A trained network and all that is known of it."""

    name: str
    path: Path
    sha256: str
    model: PanSharpener
    experiment: Experiment
    provenance: dict[str, Any]

    @property
    def method(self) -> Method:
        """Fusing as on board: calibrated once, then frozen."""
        return Method(self.name, lambda scene: fuse_frozen(self.model, scene), is_network=True)

    def facts(self) -> dict[str, Any]:
        """What shaped and trained it, and what it costs for 256 x 256 PAN pixels; JSON-able."""
        model, training = self.experiment.model, self.experiment.training
        stages = (training.stage_one, training.stage_two, training.stage_three)
        cost = network_cost(model).fusion
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "architecture": model.architecture,
            "units": model.units,
            **_trunk(model),
            "bands": list(self.experiment.data.bands),
            "ratio": model.ratio,
            "phase": self.experiment.data.phase,
            "steps_of_stages": [stage.steps for stage in stages],
            "seed": training.seed,
            "trained_on": list(self.provenance.get("data", ())),
            "parameters": {"full": cost.full_parameters, "packed": cost.packed_parameters},
            "operations": {"full": cost.full_operations, "packed": cost.packed_operations},
        }


def load_networks(runs: Sequence[Path]) -> list[Network]:
    """Finished runs or model files. One is called by its architecture, several by their folders.

    Raises `ConfigError` for a run that cannot be used, or if bands, their order or ratio differ.
    """
    networks = []
    for name, run in zip(_names(runs), runs, strict=True):
        loaded = load_model(run)
        networks.append(Network(name, run, file_digest(run), *loaded))
    if len(networks) == 1:
        networks = [replace(networks[0], name=networks[0].experiment.model.architecture)]
    for network in networks[1:]:
        first, other = (_input(n) for n in (networks[0], network))
        if first != other:
            raise ConfigError(
                f"{networks[0].path} takes {first} and {network.path} takes {other}: evaluate them separately"
            )
    return networks


def common_phase(networks: Sequence[Network]) -> Phase:
    """The phase all were trained with, the toolbox's without any. Raises `ConfigError` if they differ."""
    phases = {network.experiment.data.phase for network in networks}
    if len(phases) > 1:
        raise ConfigError("the networks were trained with different phases: say --phase centred or toolbox")
    return phases.pop() if phases else "toolbox"


def baseline_methods(names: Sequence[str]) -> list[Method]:
    """Classical methods in the order of the field's tables; "all" names all of them, case does not matter.

    Raises `ConfigError` for an unknown name.
    """
    known = {name.lower(): name for name in BASELINES}
    for name in names:
        if name.lower() not in (*known, "all"):
            raise ConfigError(f"unknown baseline {name!r}: choose from {', '.join(BASELINES)}, or all")
    wanted = {known.get(name.lower(), "all") for name in names}
    chosen = [name for name in BASELINES if "all" in wanted or name in wanted]
    return [Method(name, _baseline(name), is_network=False) for name in chosen]


def _baseline(name: str) -> Callable[[Scene], Image]:
    if name == INTERPOLATION:
        return lambda scene: scene.lms
    return lambda scene: fuse(name, scene.pan, scene.ms, scene.sensor, scene.ratio, scene.phase, scene.valid)


def _names(runs: Sequence[Path]) -> list[str]:
    short = [run.resolve().parent.name if run.stem == _MODEL_STEM else run.resolve().stem for run in runs]
    taken = {INTERPOLATION, *BASELINES}
    return [
        str(run) if short.count(name) > 1 or name in taken else name
        for run, name in zip(runs, short, strict=True)
    ]


def _trunk(model: ModelConfig) -> dict[str, Any]:
    """What only our network can be told; the others are as their papers have them."""
    names = ("binarizer", "channels", "blocks", "latent")
    return {name: getattr(model, name) if model.architecture == "bnnpan" else None for name in names}


def _input(network: Network) -> str:
    return f"{', '.join(network.experiment.data.bands)} at ratio {network.experiment.model.ratio}"
