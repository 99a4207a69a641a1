"""Checkpoints: tensors in safetensors, everything else as JSON in its metadata; never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bnnpan.config import Experiment, parse_experiment
from bnnpan.model import PanSharpener, make_network
from bnnpan_runtime.errors import ConfigError, OutputError

MODEL_NAME = "model.safetensors"
RESUME_NAME = "resume.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and JSON-able facts about them."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors whose name starts with `prefix.`, without it."""
        return {k[len(prefix) + 1 :]: v for k, v in self.tensors.items() if k.startswith(prefix + ".")}


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Replace `path` in one step: a reader, or a crash, meets the old file or the new one.

    Raises OutputError when there is no space or no right to write.
    """
    tensors = {k: v.detach().contiguous() for k, v in checkpoint.tensors.items()}
    content = save(tensors, metadata={"bnnpan": json.dumps(checkpoint.facts)})
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}; make it writable, then resume") from error


def read(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises ConfigError when it is missing, damaged or not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = (file.metadata() or {}).get("bnnpan")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such checkpoint; train one with `bnnpan train`") from error
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path}: damaged or not a checkpoint ({error})") from error
    if facts is None:
        raise ConfigError(f"{path}: a safetensors file without bnnpan's metadata")
    return Checkpoint(tensors, json.loads(facts))


def save_model(path: Path, model: PanSharpener, experiment: Experiment, provenance: dict[str, Any]) -> None:
    """Write the network and all that is needed to rebuild and describe it."""
    facts = {"experiment": experiment.to_json(), "provenance": provenance}
    write(path, Checkpoint({f"model.{k}": v for k, v in model.state_dict().items()}, facts))


def file_digest(run_or_file: Path) -> str:
    """SHA-256 of the model file of a finished run, or of the file itself."""
    with _model_path(run_or_file).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_model(run_or_file: Path) -> tuple[PanSharpener, Experiment, dict[str, Any]]:
    """Network in evaluation mode, its experiment and its provenance, from a run folder or a model file.

    Raises ConfigError for a run that is not finished, and for a file that is damaged or of another kind.
    """
    path = _model_path(run_or_file)
    checkpoint = read(path)
    if "provenance" not in checkpoint.facts:
        raise ConfigError(f"{path}: of an unfinished run; finish it with `bnnpan train --resume`")
    experiment = parse_experiment(checkpoint.facts["experiment"], str(path))
    model = make_network(experiment.model)
    try:
        model.load_state_dict(checkpoint.part("model"))
    except RuntimeError as error:
        raise ConfigError(f"{path}: tensors do not fit the network described in it: {error}") from error
    return model.eval(), experiment, checkpoint.facts["provenance"]


def _model_path(run_or_file: Path) -> Path:
    return run_or_file / MODEL_NAME if run_or_file.is_dir() else run_or_file
