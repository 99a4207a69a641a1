"""The wheels as `make wheels` builds them, once for all tests."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from requirements import program, require_package


@pytest.fixture(scope="session")
def build_wheels(repo_root: Path) -> Path:
    """The script behind `make wheels`, where it can run."""
    require_package("auditwheel")
    program("cc")
    return repo_root / "runtime" / "packaging" / "wheels.py"


@pytest.fixture(scope="session")
def wheels(build_wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Processor -> wheel; the other processor's only where there is a cross compiler."""
    folder = tmp_path_factory.mktemp("dist")
    result = subprocess.run([sys.executable, build_wheels, folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return {path.stem.partition("manylinux_2_17_")[2]: path for path in folder.iterdir()}


@pytest.fixture(scope="session")
def aarch64_wheel(wheels: dict[str, Path]) -> Path:
    if platform.machine() != "x86_64":
        pytest.skip("compares aarch64 with x86-64")
    program("aarch64-linux-gnu-gcc")
    return wheels["aarch64"]
