"""Who may import whom, seen from clean interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from requirements import require_package

GROUND = {"bnnpan", "bnnpan_export", "bnnpan_sim", "bnnpan_archive"}
HEAVY = {"torch", "tensorflow", "onnx", "larq", "larq_compute_engine", "pystac", "dask", "distributed"}
ALLOWED = {
    "bnnpan_runtime": set(),
    "bnnpan": {"bnnpan_runtime"},
    "bnnpan_export": {"bnnpan", "bnnpan_runtime"},
    "bnnpan_sim": {"bnnpan_runtime"},
    "bnnpan_archive": {"bnnpan_runtime"},
}
PACKAGES_OF = {"bnnpan_archive": ("pystac", "dask", "distributed")}
"""What must be installed to import every module."""

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


@pytest.mark.parametrize("package", ["bnnpan", "bnnpan_export", "bnnpan_archive"])
def test_ground_packages_import_only_those_below_them(package: str):
    for extra in PACKAGES_OF.get(package, ()):
        require_package(extra)
    ours = {m.split(".")[0] for m in imported_by(package) if m.startswith("bnnpan")}
    assert ours - {package} <= ALLOWED[package]


SHARED = {"contract", "errors", "scene_units", "preview.write_png", "cli.options", "cli.progress"}
"""Types and arithmetic both sides must agree on; how pictures and commands look everywhere."""


ABOVE = {
    "product": {"judging", "finishing", "stac", "pipeline", "planning", "run", "cli"},
    "judging": {"finishing", "stac", "method", "pipeline", "planning", "run", "cli"},
    "finishing": {"graph", "pipeline", "planning", "run", "cli"},
    "stac": {"finishing.finish", "finishing.item", "graph", "pipeline", "planning", "run", "cli"},
    "scene": {"product", "finishing", "stac", "graph", "method", "pipeline", "planning", "run", "cli"},
    "graph": {"product", "finishing", "stac", "scene", "method", "pipeline", "planning", "run", "cli"},
}
"""Part of the runtime -> the later stages that it may not know: they use it."""


def imports_in_the_runtime(part: str) -> set[str]:
    """Modules of the runtime that a package of it imports, at once or when used; not for types alone."""
    import bnnpan_runtime

    found = set()
    for path in (Path(bnnpan_runtime.__file__).parent / part).rglob("*.py"):
        tree = ast.parse(path.read_text())
        branches = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
        typing = [node for node in branches if "TYPE_CHECKING" in ast.dump(node.test)]
        only_types = {inner for node in typing for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node not in only_types and node.module:
                found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    return {name.removeprefix("bnnpan_runtime.") for name in found if name.startswith("bnnpan_runtime.")}


@pytest.mark.parametrize("part", ABOVE)
def test_no_stage_of_the_runtime_knows_those_that_use_it(part: str):
    imported = imports_in_the_runtime(part)
    assert imported, f"there is no {part}"
    later = {name for name in imported for above in ABOVE[part] if f"{name}.".startswith(f"{above}.")}
    assert not later


def test_nothing_but_the_program_imports_the_command_line():
    import bnnpan_runtime

    root = Path(bnnpan_runtime.__file__).parent
    parts = {path.relative_to(root).parts[0] for path in root.rglob("*.py")} - {"cli"}
    packages = {part for part in parts if not part.endswith(".py")}
    assert {"product", "graph"} <= packages
    imported = {part: imports_in_the_runtime(part) for part in packages}
    users = {part for part, names in imported.items() if any(name.startswith("cli") for name in names)}
    assert not users


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
