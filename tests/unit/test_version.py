"""One version, in one place, for both distributions; sources that every promised Python reads."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

import bnnpan_runtime

OLDEST_PYTHON = (3, 11)


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def test_no_project_file_states_the_version(repo_root: Path):
    for folder in (repo_root, repo_root / "runtime"):
        text = (folder / "pyproject.toml").read_text()
        assert "version" in read(folder / "pyproject.toml")["project"]["dynamic"]
        assert bnnpan_runtime.__version__ not in text
    assert read(repo_root / "pyproject.toml")["tool"]["hatch"]["version"]["path"] == (
        "runtime/bnnpan_runtime/__init__.py"
    )


def test_the_changelog_begins_with_this_version(repo_root: Path):
    first = re.search(r"^## (\S+)", (repo_root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None and first[1] == bnnpan_runtime.__version__


def test_the_ground_side_requires_the_runtime_of_its_own_version(
    repo_root: Path, monkeypatch: pytest.MonkeyPatch
):
    """The hook behind `dynamic`, with a stand-in for the builder's class, which only builds have."""
    interface = types.ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    path = repo_root / "release" / "same_version.py"
    specification = importlib.util.spec_from_file_location("same_version", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    hook = module.SameVersion()
    hook.config = read(repo_root / "pyproject.toml")["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    metadata: dict[str, Any] = {"version": "9.8.7"}
    hook.update(metadata)
    assert metadata["dependencies"][0] == "bnnpan-runtime==9.8.7"
    assert any(requirement.startswith("numpy") for requirement in metadata["dependencies"])


def test_both_distributions_want_the_same_pythons(repo_root: Path):
    for folder in (repo_root, repo_root / "runtime"):
        wanted = read(folder / "pyproject.toml")["project"]["requires-python"]
        assert wanted == f">={'.'.join(map(str, OLDEST_PYTHON))}"


def test_the_oldest_python_reads_what_flies_without_a_warning(repo_root: Path):
    """Newer ones read what older ones do; what they warn of, such as unknown escapes, is an error later."""
    files = sorted((repo_root / "runtime").rglob("*.py"))
    assert files
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in files:
            tree = ast.parse(path.read_text(), str(path), feature_version=OLDEST_PYTHON)
            compile(tree, str(path), "exec")
