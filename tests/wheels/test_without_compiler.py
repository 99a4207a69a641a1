"""Where the C library cannot be built, the runtime installs without it and works on ONNX Runtime."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Computer:
    """An environment whose PATH holds its own programs only: no compiler, no CMake, no make."""

    programs: Path
    sources: Path
    """What an index would hold where it has no wheel for this computer."""

    def run(
        self, program: str, *arguments: str | Path, packages: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"PATH": str(self.programs), "PYTHONPATH": str(packages or "")}
        for name in ("CC", "BNNPAN_NATIVE_LIBRARY"):
            variables.pop(name, None)
        command = [self.programs / program, *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def computer(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Computer:
    folder = tmp_path_factory.mktemp("computer")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", "scikit-build-core"], check=True)
    pack = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder / 'dist')!r})"
    subprocess.run([programs / "python", "-c", pack], cwd=repo_root / "runtime", check=True)
    (sources,) = (folder / "dist").iterdir()
    computer = Computer(programs, sources)
    result = computer.run("pip", "install", "--quiet", "-c", repo_root / "constraints.txt", sources)
    assert result.returncode == 0, result.stderr
    return computer


def test_doctor_names_the_missing_library_and_the_cure(computer: Computer):
    result = computer.run("bnnpan", "doctor", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["native"]["instruction_sets"] == []
    assert "without its C library" in report["backends"]["native"]
    assert "install a C compiler" in report["backends"]["native"]
    assert report["backends"]["onnx"].startswith("passed")


def test_fuse_goes_on_to_onnx_with_a_warning(computer: Computer, tmp_path: Path):
    scene = ("--pan", tmp_path / "pan.tif", "--ms", tmp_path / "ms.tif", "--out", tmp_path / "product.tif")
    assert computer.run("bnnpan", "scene", "synth", "--size", "256", "--out", tmp_path).returncode == 0
    refused = computer.run("bnnpan", "fuse", *scene, "--memory", "512MiB", "--backend", "native")
    assert refused.returncode == 7 and "without its C library" in refused.stderr
    result = computer.run("bnnpan", "fuse", *scene, "--memory", "512MiB", "--json")
    assert result.returncode == 0, result.stderr
    assert "WARNING: backend native is not usable" in result.stderr
    assert json.loads(result.stdout)["backend"] == "onnx"


def test_whoever_needs_the_library_can_insist(computer: Computer):
    insisting = ("--force-reinstall", "--no-deps", "--config-settings=wheel.cmake=true")
    result = computer.run("pip", "install", "--quiet", *insisting, computer.sources)
    assert result.returncode != 0
    assert "CMAKE_C_COMPILER" in result.stdout + result.stderr
    assert computer.run("bnnpan", "--version").returncode == 0


def test_the_wheel_brings_the_library(computer: Computer, wheels: dict[str, Path], tmp_path: Path):
    wheel = wheels[platform.machine()]
    result = computer.run("pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "wheel", wheel)
    assert result.returncode == 0, result.stderr
    result = computer.run("python", "-m", "bnnpan_runtime", "doctor", "--json", packages=tmp_path / "wheel")
    report = json.loads(result.stdout)
    assert report["native"]["library"].startswith(str(tmp_path))
    assert report["backends"]["native"].startswith("passed")
