"""`rio bnnpan` in a real process of rio: rio's conventions, the product of `bnnpan fuse`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import rasterio
from click.testing import CliRunner
from raw_scenes import RawScene, write_raw_scene

from bnnpan_runtime.cli import main
from bnnpan_runtime.cli.fuse import command as fuse
from bnnpan_runtime.cli.rio import _check_layout
from bnnpan_runtime.cli.rio import command as rio_command

SIDE = 128
GROUP = "rasterio.rio_plugins"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> RawScene:
    return write_raw_scene(tmp_path_factory.mktemp("scene"), SIDE, SIDE)


@pytest.fixture(scope="module")
def rio_environment(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where rio finds the plug-in as this tree's pyproject.toml declares it, whatever is installed."""
    project = tomllib.loads((repo_root / "runtime" / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("site")
    (record := folder / "bnnpan_runtime-0.dist-info").mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: bnnpan-runtime\nVersion: 0\n")
    plugins = project["entry-points"][GROUP]
    lines = [f"[{GROUP}]", *(f"{name} = {target}" for name, target in plugins.items())]
    (record / "entry_points.txt").write_text("\n".join(lines) + "\n")
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    program = "from rasterio.rio.main import main_group; main_group(prog_name='rio')"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_rio_lists_the_plugin(rio_environment: dict[str, str]):
    assert "\n  bnnpan " in run(rio_environment, "--help").stdout


@pytest.mark.parametrize("named", [False, True], ids=["OUTPUT", "-o OUTPUT"])
def test_the_product_is_that_of_fuse(
    rio_environment: dict[str, str], scene: RawScene, tmp_path: Path, named: bool
):
    product, expected = tmp_path / "product.tif", tmp_path / "expected.tif"
    place = ("-o", product) if named else (product,)
    result = run(rio_environment, "bnnpan", scene.pan, scene.ms, *place, "--memory", "256MiB", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= 256 * 2**20
    files = ["--pan", scene.pan, "--ms", scene.ms, "--out", expected]
    fused = CliRunner().invoke(main, [*map(str, ("fuse", *files)), "--memory", "4GiB"])
    assert fused.exit_code == 0, fused.stderr
    assert product.read_bytes() == expected.read_bytes()


def test_bounds_are_a_part_of_the_scene(rio_environment: dict[str, str], scene: RawScene, tmp_path: Path):
    with rasterio.open(scene.pan) as pan:
        left, bottom, right, top = pan.bounds
    half = f"{left} {(bottom + top) / 2} {right} {top}"
    product = tmp_path / "product.tif"
    result = run(
        rio_environment, "bnnpan", scene.pan, scene.ms, product, "--memory", "256MiB", "--bounds", half
    )
    assert result.returncode == 0, result.stderr
    with rasterio.open(product) as written:
        assert written.shape == (SIDE // 2, SIDE) and written.bounds.top == top


def test_an_existing_product_is_replaced_only_if_told(
    rio_environment: dict[str, str], scene: RawScene, tmp_path: Path
):
    (product := tmp_path / "product.tif").write_text("precious")
    arguments = ("bnnpan", scene.pan, scene.ms, product, "--memory", "256MiB")
    refused = run(rio_environment, *arguments)
    assert refused.returncode == 6 and refused.stderr.startswith("bnnpan: error: ")
    assert product.read_text() == "precious"
    assert run(rio_environment, *arguments, "--force-overwrite").returncode == 0
    with rasterio.open(product) as written:
        assert written.count == 4


def test_what_is_refused_is_refused_as_by_fuse(
    rio_environment: dict[str, str], scene: RawScene, tmp_path: Path
):
    product = tmp_path / "product.tif"
    small = run(rio_environment, "bnnpan", scene.pan, scene.ms, product, "--memory", "8MiB")
    assert small.returncode == 5 and "MiB" in small.stderr
    lonely = run(rio_environment, "bnnpan", scene.pan, product, "--memory", "256MiB")
    assert lonely.returncode == 2 and "at least one file of MS" in lonely.stderr
    assert not product.exists()


def test_forms_and_creation_options_are_those_a_product_has(
    rio_environment: dict[str, str], scene: RawScene, tmp_path: Path
):
    arguments = ("bnnpan", scene.pan, scene.ms, product := tmp_path / "product.tif", "--memory", "256MiB")
    refused = run(rio_environment, *arguments, "--co", "COMPRESS=LZW")
    assert refused.returncode == 2 and "compress=none" in refused.stderr
    assert not product.exists()
    small = run(rio_environment, *arguments, "-f", "COG", "--co", "COMPRESS=DEFLATE")
    assert small.returncode == 0, small.stderr
    with rasterio.open(product) as written:
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert written.compression is rasterio.enums.Compression.deflate


def test_a_plain_product_may_be_asked_for_as_it_is():
    _check_layout("GTiff", {"tiled": "yes", "compress": None, "blockxsize": "256"})
    with pytest.raises(click.BadParameter, match="compress=deflate"):
        _check_layout("COG", {"compress": None})


def test_every_option_of_fuse_is_there_or_said_in_the_way_of_rio():
    said = {parameter.name for parameter in rio_command.params}
    missing = {parameter.name for parameter in fuse.params} - said
    assert missing == {"pan", "ms", "out", "extent"}
