"""What a computer needs for each role it may play, what of it is here, and how to get the rest.

The packages of a role are those of the distribution or extra that brings it; a test compares them. Programs
are optional everywhere: what needs one says so when it is run.
"""

from __future__ import annotations

import platform
import shlex
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

__all__ = ["ROLES", "Need", "Role", "RoleReport", "examine_role"]


@dataclass(frozen=True)
class Need:
    """A package of Python, or a program with the package of Debian and Ubuntu that has it."""

    name: str
    purpose: str
    program_of: str | None = None
    optional: bool = False
    extra: str | None = None
    """Of the package, that is needed with it."""

    processor: str | None = None
    """The only processor there is such a package for."""

    def found(self) -> str | None:
        """Version of the package, path of the program; None if it is not here."""
        if self.program_of is not None:
            return shutil.which(self.name)
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None

    def source(self, install: str) -> str:
        """The command that brings it; `install` is the one for the role's packages."""
        if self.program_of is not None:
            return f"apt-get install {self.program_of}"
        package = f"{self.name}[{self.extra}]" if self.extra else self.name
        return f"pip install {shlex.quote(package)}" if self.optional else install


@dataclass(frozen=True)
class Role:
    """Something a computer is used for."""

    purpose: str
    install: str
    """The command that brings all its packages, given in a checkout of the sources."""

    needs: tuple[Need, ...]


@dataclass(frozen=True)
class Missing:
    """Something that is not here, what it is for, and the command that brings it."""

    name: str
    purpose: str
    get: str
    optional: bool


@dataclass(frozen=True)
class RoleReport:
    """What a role has of its needs (name -> version or path), and what it has not."""

    purpose: str
    found: dict[str, str]
    missing: tuple[Missing, ...]

    @property
    def ready(self) -> bool:
        """Whether all that is missing is optional."""
        return all(need.optional for need in self.missing)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {"ready": self.ready, **asdict(self)}


def examine_role(role: Role, processor: str | None = None) -> RoleReport:
    """Look for everything a role needs on this computer, or on one with another `processor`."""
    needs = [need for need in role.needs if need.processor in (None, processor or platform.machine())]
    found = {need.name: need.found() for need in needs}
    missing = tuple(
        Missing(need.name, need.purpose, need.source(role.install), need.optional)
        for need in needs
        if found[need.name] is None
    )
    return RoleReport(role.purpose, {name: value for name, value in found.items() if value}, missing)


def _ground(extra: str) -> str:
    return f"pip install -c constraints.txt ./runtime '.[{extra}]'"


def _x86(name: str, purpose: str) -> Need:
    return Need(name, purpose, processor="x86_64")


_GROUND_SIDE = Need("bnnpan", "the ground side itself")

ROLES = {
    "fly": Role(
        "plan and fuse scenes, on board or anywhere",
        "pip install ./runtime",
        (
            Need("numpy", "arrays"),
            Need("rasterio", "scenes in, products out"),
            Need("affine", "grids of scenes"),
            Need("click", "the command line"),
            Need("onnxruntime", "the engine onnx"),
            Need("safetensors", "weights of a bundle"),
            Need("ai-edge-litert", "the engine tflite", optional=True),
        ),
    ),
    "train": Role(
        "train and evaluate networks",
        _ground("train"),
        (
            _GROUND_SIDE,
            Need("torch", "the network and its gradients"),
            Need("safetensors", "checkpoints"),
            Need("rasterio", "pairs in GeoTIFF"),
            Need("scipy", "filters of the degradation protocol"),
            Need("h5py", "pairs of PanCollection"),
            Need("tensorboard", "curves while it trains", optional=True),
        ),
    ),
    "export": Role(
        "make and sign bundles",
        _ground("export"),
        (
            _GROUND_SIDE,
            Need("torch", "the reference of every form"),
            Need("safetensors", "packed weights"),
            Need("onnx", "graphs of ONNX"),
            Need("onnxruntime", "their parity and memory"),
            Need("cryptography", "keys that sign"),
            _x86("tensorflow", "graphs of TFLite"),
            _x86("tf-keras", "what larq stands on"),
            _x86("larq", "binary layers of the converter"),
            _x86("larq-compute-engine", "the converter and its oracle"),
        ),
    ),
    "simulate": Role(
        "prove on emulated boards",
        _ground("sim"),
        (
            _GROUND_SIDE,
            Need("qemu-aarch64", "a board's own instructions, level 2", "qemu-user", optional=True),
            Need(
                "aarch64-linux-gnu-gcc", "the wheel of such a board", "gcc-aarch64-linux-gnu", optional=True
            ),
            Need("strace", "kills at every system call", "strace", optional=True),
            Need("mkfs.ext4", "disks that are full", "e2fsprogs", optional=True),
        ),
    ),
    "archive": Role(
        "fuse whole archives of scenes",
        _ground("archive"),
        (
            _GROUND_SIDE,
            Need("pystac", "catalogues and collections"),
            Need("dask", "many computers by --scheduler dask", optional=True, extra="distributed"),
        ),
    ),
}
