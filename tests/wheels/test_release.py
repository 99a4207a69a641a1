"""`make dist` and `make sbom`: the same sources give the same bytes; the list of parts is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from requirements import require_package

import bnnpan_runtime

pytestmark = pytest.mark.slow

VERSION = bnnpan_runtime.__version__
DATE = "1700000000"
"""Of the commit, which a copy of the sources does not have."""

LEFT_OUT = ("__pycache__", "_native", ".git", ".venv*", ".*_cache", ".hypothesis", "build", "dist", "models")


def copy_sources(sources: Path, folder: Path, mode: int) -> Path:
    """What the distributions are made of, elsewhere, with other times and permissions."""
    ignored = shutil.ignore_patterns(*LEFT_OUT, "test_*")
    shutil.copytree(sources, folder, copy_function=shutil.copyfile, ignore=ignored)
    for path in folder.rglob("*.py"):
        path.chmod(mode)
    return folder


def make_dist(sources: Path, folder: Path) -> Path:
    variables = os.environ | {"SOURCE_DATE_EPOCH": DATE}
    variables.pop("PYTHONPATH", None)
    result = subprocess.run(
        [sys.executable, sources / "release" / "dist.py", folder],
        env=variables, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def dist(build_wheels: Path, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_package("build")
    folder = tmp_path_factory.mktemp("first")
    return make_dist(copy_sources(repo_root, folder / "sources", 0o600), folder / "dist")


def test_the_same_sources_give_the_same_files_anywhere(dist: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("another-place")
    again = make_dist(
        copy_sources(dist.parent / "sources", folder / "deeper" / "sources", 0o644), folder / "dist"
    )
    names = sorted(path.name for path in dist.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert [n for n in names if (dist / n).read_bytes() != (again / n).read_bytes()] == []


def test_a_release_has_sdists_and_wheels_of_both_distributions(dist: Path):
    names = {path.name for path in dist.iterdir()}
    sources = {f"bnnpan-{VERSION}.tar.gz", f"bnnpan_runtime-{VERSION}.tar.gz"}
    assert sources | {f"bnnpan-{VERSION}-py3-none-any.whl", "SHA256SUMS"} < names
    assert any(name.startswith(f"bnnpan_runtime-{VERSION}-py3-none-manylinux") for name in names)
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    assert {line.partition("  ")[2] for line in lines} == names - {"SHA256SUMS"}
    for line in lines:
        checksum, _, name = line.partition("  ")
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == checksum


def test_every_wheel_says_which_python_and_which_runtime_it_wants(dist: Path):
    for path in dist.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            fields = message_from_string(wheel.read(name).decode())
        assert (fields["Version"], fields["Requires-Python"]) == (VERSION, ">=3.11")
        wanted = [need for need in fields.get_all("Requires-Dist", []) if need.startswith("bnnpan-runtime")]
        assert wanted == ([] if "runtime" in path.name else [f"bnnpan-runtime=={VERSION}"])


def test_sources_hold_what_is_needed_and_nothing_of_a_computer(dist: Path):
    for path in dist.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
        names = {member.name.partition("/")[2] for member in members}
        assert {"pyproject.toml", "LICENSE"} <= names
        assert not [name for name in names if name.endswith((".so", ".pyc", ".o"))]
        assert {member.mtime for member in members} == {int(DATE)}
        assert {(member.uid, member.uname) for member in members} == {(0, "")}


@pytest.fixture(scope="module")
def reporter(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of `make sbom`; its interpreter."""
    folder = tmp_path_factory.mktemp("reporter")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    reporters = repo_root / "release" / "reporters.txt"
    for what in (["--upgrade", "pip"], ["-r", reporters]):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *what], check=True)
    return python


def describe(
    reporter: Path, script: Path, dist: Path, folder: Path
) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder.mkdir()
    for wheel in dist.glob("bnnpan_runtime-*.whl"):
        shutil.copy(wheel, folder)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([reporter, script, folder], env=variables, capture_output=True, text=True)
    return result, folder


def test_the_list_of_parts_is_whole_and_the_same_twice(
    dist: Path, reporter: Path, repo_root: Path, tmp_path: Path
):
    script = repo_root / "release" / "sbom.py"
    reports = []
    for name in ("first", "second"):
        result, folder = describe(reporter, script, dist, tmp_path / name)
        assert result.returncode == 0, result.stderr
        reports.append(
            [(folder / f"bnnpan-runtime{end}").read_text() for end in (".cdx.json", "-licences.md")]
        )
    assert reports[0] == reports[1]
    bill = json.loads(reports[0][0])
    runtime, parts = bill["metadata"]["component"], {part["name"] for part in bill["components"]}
    assert (bill["bomFormat"], runtime["name"], runtime["version"]) == (
        "CycloneDX",
        "bnnpan-runtime",
        VERSION,
    )
    assert {"numpy", "rasterio", "affine", "click", "onnxruntime", "safetensors"} <= parts
    assert not parts & {"pip", "torch", "bnnpan"}
    assert all(f"| {name} " in reports[0][1] for name in parts)
    assert str(tmp_path) not in "".join(reports[0]), "where it was made"


def test_a_licence_that_is_not_allowed_stops_a_release(
    dist: Path, reporter: Path, repo_root: Path, tmp_path: Path
):
    (strict := tmp_path / "repository" / "release").mkdir(parents=True)
    shutil.copy(repo_root / "constraints.txt", strict.parent)
    text = (repo_root / "release" / "sbom.py").read_text()
    assert '"BSD"' in text
    (strict / "sbom.py").write_text(text.replace('"BSD"', '"none"'))
    result, folder = describe(reporter, strict / "sbom.py", dist, tmp_path / "dist")
    assert result.returncode != 0 and "BSD" in result.stderr
    assert not (folder / "bnnpan-runtime-licences.md").exists()
