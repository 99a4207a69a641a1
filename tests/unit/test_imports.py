"""Who may import whom, seen from clean interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

GROUND = {"bnnpan", "bnnpan_export", "bnnpan_sim"}
HEAVY = {"torch", "tensorflow", "onnx", "larq", "larq_compute_engine"}
ALLOWED = {
    "bnnpan_runtime": set(),
    "bnnpan": {"bnnpan_runtime"},
    "bnnpan_export": {"bnnpan", "bnnpan_runtime"},
    "bnnpan_sim": {"bnnpan_runtime"},
}
PROGRAM = """
import importlib, pkgutil, sys
root = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
names = {name if name.startswith("bnnpan") else name.split(".")[0] for name in sys.modules}
print(*sorted(names))
"""


def imported_by(package: str) -> set[str]:
    result = subprocess.run([sys.executable, "-c", PROGRAM, package], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize("package", ["bnnpan_runtime", "bnnpan_sim"])
def test_what_flies_imports_nothing_of_the_ground_side(package: str):
    modules = imported_by(package)
    assert not modules & HEAVY
    assert not modules & (GROUND - {package})


@pytest.mark.parametrize("package", ["bnnpan", "bnnpan_export"])
def test_ground_packages_import_only_those_below_them(package: str):
    ours = {m.split(".")[0] for m in imported_by(package) if m.startswith("bnnpan")}
    assert ours - {package} <= ALLOWED[package]


SHARED = {"contract", "errors", "scene_units", "preview.write_png", "cli.options", "cli.progress"}
"""Types and arithmetic both sides must agree on; how pictures and commands look everywhere."""


def test_the_trainer_uses_of_the_runtime_only_what_is_meant_to_be_shared():
    import bnnpan

    used = set()
    for path in Path(bnnpan.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bnnpan_runtime."):
                used |= {f"{node.module}.{alias.name}" for alias in node.names}
    foreign = {
        name for name in used if not any(name.startswith(f"bnnpan_runtime.{shared}") for shared in SHARED)
    }
    assert used
    assert not foreign


def test_the_command_line_starts_without_numpy_and_rasterio():
    program = "import sys, bnnpan_runtime.cli; print('numpy' in sys.modules, 'rasterio' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
