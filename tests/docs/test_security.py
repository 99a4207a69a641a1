"""SECURITY.md: every threat names tests that exist; what it says of code in files is true of the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from click.testing import CliRunner
from raw_scenes import write_raw_scene

from bnnpan_runtime.cli import main

PACKAGES = (
    "bnnpan",
    "export/bnnpan_export",
    "archive/bnnpan_archive",
    "firmware_sim/bnnpan_sim",
    "runtime/bnnpan_runtime",
)
EXECUTING = {
    "pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "eval", "exec", "torch.load", "yaml.load",
    "os.system", "os.popen", "ctypes.pythonapi",
}  # fmt: skip
"""Modules that run what they read, and calls that do."""


def threats(page: str) -> Iterator[tuple[str, list[str]]]:
    """Threat and the tests its row names."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "threat":
            yield cells[0], re.findall(r"`(test_\w+)`", cells[2])


def test_every_threat_names_tests_and_all_of_them_exist(repo_root: Path):
    rows = dict(threats((repo_root / "SECURITY.md").read_text()))
    assert len(rows) > 20
    defined = {
        name
        for path in (repo_root / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert not [threat for threat, tests in rows.items() if not tests], "threats without a test"
    assert not {test for tests in rows.values() for test in tests} - defined, "tests that do not exist"


def test_each_party_of_the_threat_model_has_its_threats(repo_root: Path):
    _, _, model = (repo_root / "SECURITY.md").read_text().partition("## Threat model")
    for party in ("Who provides the scene", "Who sends things up", "Who operates it"):
        _, found, section = model.partition(f"### {party}")
        assert found and len(list(threats(section.partition("###")[0]))) >= 5


def names_in(tree: ast.AST) -> Iterator[str]:
    """What a module imports and calls, with dots, and calls with an option that lets them execute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            for option in node.keywords:
                if option.arg in ("shell", "allow_pickle") and ast.unparse(option.value) != "False":
                    yield f"{option.arg}=True"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_that_is_read_is_executed(package: str, repo_root: Path):
    files = sorted((repo_root / package).rglob("*.py"))
    assert files
    for path in files:
        found = set(names_in(ast.parse(path.read_text())))
        assert not found & (EXECUTING | {"shell=True", "allow_pickle=True"}), path


PROGRAM_IN_A_RASTER = """<VRTDataset rasterXSize="{side}" rasterYSize="{side}">
  <SRS>{crs}</SRS><GeoTransform>{transform}</GeoTransform>
  <VRTRasterBand dataType="UInt16" band="1" subClass="VRTDerivedRasterBand">
    <PixelFunctionType>run</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>
    <PixelFunctionCode><![CDATA[
def run(inputs, out, *others, **options):
    open({trace!r}, "w").close()
    out[:] = inputs[0]
]]></PixelFunctionCode>
    <SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>
  </VRTRasterBand>
</VRTDataset>
"""


def test_a_program_in_a_virtual_raster_is_not_run(tmp_path: Path):
    scene = write_raw_scene(tmp_path)
    with rasterio.open(scene.pan) as pan:
        side, transform, crs = pan.width, ", ".join(map(str, pan.transform.to_gdal())), pan.crs.to_wkt()
    trace, raster = tmp_path / "trace", tmp_path / "pan.vrt"
    places = {"side": side, "transform": transform, "crs": crs, "trace": str(trace), "source": scene.pan}
    raster.write_text(PROGRAM_IN_A_RASTER.format(**places))
    with rasterio.Env(GDAL_VRT_ENABLE_PYTHON="YES"), rasterio.open(raster) as trusted:
        trusted.read(1)
    trace.unlink()  # so the program runs where somebody asks for it
    files = ("--pan", raster, "--ms", scene.ms, "--out", tmp_path / "product.tif")
    result = CliRunner().invoke(main, ["fuse", *map(str, files), "--memory", "4GiB"])
    assert not trace.exists()
    assert result.exit_code == 3, result.output
    assert result.stderr.count("\n") == 1
