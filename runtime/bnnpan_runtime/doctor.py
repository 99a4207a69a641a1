"""What this computer is and whether the network runs on it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bnnpan_runtime import __version__
from bnnpan_runtime.bundle import Bundle, shipped_bundles
from bnnpan_runtime.errors import BnnpanError
from bnnpan_runtime.graph import BACKENDS, open_backend
from bnnpan_runtime.memory import KIB, format_size
from bnnpan_runtime.roles import ROLES, RoleReport, examine_role
from bnnpan_runtime.verify import golden_check

__all__ = ["Examination", "cpu_name", "examine", "memory_limit"]

_LIBRARIES = ("numpy", "rasterio", "click", "safetensors", "onnxruntime", "larq-compute-engine")


@dataclass(frozen=True)
class Examination:
    """One section per field, each name -> value.

    `backends` tells how each did in its self-test, `roles` what this computer lacks to fly, train, and so on.
    """

    board: dict[str, Any]
    software: dict[str, str]
    native: dict[str, Any]
    backends: dict[str, str]
    roles: dict[str, RoleReport]

    @property
    def healthy(self) -> bool:
        """Whether at least one backend passed and none failed."""
        words = {outcome.partition(":")[0] for outcome in self.backends.values()}
        return "passed" in words and "failed" not in words

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self) | {"roles": {name: report.to_json() for name, report in self.roles.items()}}


def examine() -> Examination:
    """Look at the computer and run the golden tile of the first shipped bundle on every backend."""
    roles = {name: examine_role(role) for name, role in ROLES.items()}
    return Examination(_board(), _software(), _native(), _self_tests(), roles)


def _board() -> dict[str, Any]:
    memory = _fields("/proc/meminfo")
    return {
        "model": _text("/proc/device-tree/model") or platform.node() or "unknown",
        "cpu": cpu_name(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": format_size(_kilobytes(memory.get("MemTotal"))),
        "memory_available": format_size(_kilobytes(memory.get("MemAvailable"))),
        "memory_limit": memory_limit(),
        "kernel": platform.release(),
    }


def _software() -> dict[str, str]:
    import rasterio

    versions = {
        "bnnpan-runtime": __version__,
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
    }
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _native() -> dict[str, Any]:
    from bnnpan_runtime.graph.libbnnpan import instruction_sets, library_path

    try:
        return {"library": str(library_path()), "instruction_sets": list(instruction_sets())}
    except BnnpanError as error:
        return {"library": str(error), "instruction_sets": []}


def _self_tests() -> dict[str, str]:
    if not shipped_bundles():
        return dict.fromkeys(BACKENDS, "not tested: no bundle is shipped with this installation")
    bundle = Bundle.open(shipped_bundles()[0])
    outcomes = {}
    for name in BACKENDS:
        try:
            check = golden_check(open_backend(name, bundle, self_test=True), bundle)
            word = {True: "passed", False: "failed", None: "not tested"}[check.passed]
            outcomes[name] = f"{word}: {check.detail}"
        except BnnpanError as error:
            outcomes[name] = f"not usable: {error}"
    return outcomes


def cpu_name() -> str:
    """Name of the processor; ARM kernels give an implementer and part number instead."""
    fields = _fields("/proc/cpuinfo")
    for name in ("model name", "Model", "Hardware"):
        if name in fields:
            return fields[name]
    return f"implementer {fields.get('CPU implementer', '?')}, part {fields.get('CPU part', '?')}"


def memory_limit() -> str:
    """Smallest limit of the control group this process runs in and of those above it, version 2 or 1.

    In a container the root of the hierarchy it sees may be its own group.
    """
    limits: list[str] = []
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, name = Path("/sys/fs/cgroup"), "memory.max"
        elif "memory" in controllers.split(","):
            root, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        else:
            continue
        own = Path(group.lstrip("/"))
        limits += [_text(root / folder / name) for folder in (own, *own.parents)]
    # Version 1 writes a number beyond any machine, version 2 "max", where there is none.
    sizes = [int(limit) for limit in limits if limit.isdigit() and int(limit) < 2**50]
    return format_size(min(sizes)) if sizes else "none"


def _fields(path: str) -> dict[str, str]:
    """`name: value` lines; of several with one name, the first."""
    fields: dict[str, str] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _kilobytes(value: str | None) -> int:
    return int(value.split()[0]) * KIB if value else 0


def _text(path: str | Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n ")
    except OSError:
        return ""
