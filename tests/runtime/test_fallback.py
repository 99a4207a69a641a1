"""Where a network cannot run, the classical method stands in: when asked to, saying so, within the budget."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from raw_scenes import RawScene, SceneWriter, read_raster

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.memory import parse_size

AMPLE = "4GiB"
METHOD = "MTF-GLP-FS: a classical method, no network"


def refuted(bundle: Bundle, path: Path) -> Path:
    """The bundle with a golden tile that no backend can reproduce, all hashes right."""
    files = {name: bytearray(bundle.read(name)) for name in bundle.manifest.files}
    golden = files[GOLDEN_NAME]
    header_end = 8 + int.from_bytes(golden[:8], "little")
    start, end = json.loads(golden[8:header_end])["hrms"]["data_offsets"]
    golden[header_end + start : header_end + end] = bytes(end - start)
    value = bundle.manifest.to_json()
    value["files"][GOLDEN_NAME]["sha256"] = hashlib.sha256(golden).hexdigest()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {MANIFEST_NAME: json.dumps(value).encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name), bytes(content))
    return path


@pytest.fixture(scope="module")
def refuted_bundle(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return refuted(bundle, tmp_path_factory.mktemp("refuted") / "refuted.bnnpan")


def bnnpan(verb: str, raw: RawScene, *arguments: object) -> Result:
    command = [verb, "--pan", raw.pan, "--ms", raw.ms, *arguments]
    if "--memory" not in arguments:
        command += ["--memory", AMPLE]
    command.append("--allow-unsigned")  # bundles are refused here for other reasons
    return CliRunner().invoke(main, [str(argument) for argument in command])


def refusal(result: Result) -> tuple[int, str]:
    """Exit code and the error, of which there is one line; warnings may stand before it."""
    assert isinstance(result.exception, SystemExit), result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("bnnpan: error: ")]
    assert len(errors) == 1 and result.stdout == ""
    return result.exit_code, errors[0]


def report_of(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    report: dict[str, object] = json.loads(result.stdout)
    return report


def tags_of(product: Path) -> dict[str, str]:
    with rasterio.open(product) as raster:
        return dict(raster.tags())


class TestRefusedNetworks:
    """Every case without `--fallback`, which refuses and hints at it, and with it."""

    def check(self, raw: RawScene, bundle: object, out: Path, code: int, words: str) -> None:
        fusing = ("fuse", raw, "--bundle", bundle, "--out", out, "--json")
        found, error = refusal(bnnpan(*fusing))
        assert found == code and words in error and "--fallback" in error
        assert not out.exists()
        result = bnnpan(*fusing, "--fallback")
        report = report_of(result)
        assert (report["backend"], report["method"]) == ("classical", "MTF-GLP-FS")
        assert words in str(report["fallback_reason"]) and "--fallback" not in str(report["fallback_reason"])
        tags = tags_of(out)
        assert tags["BNNPAN_BACKEND"] == "classical" and tags["BNNPAN_METHOD"] == METHOD
        assert tags["BNNPAN_FALLBACK_REASON"] == report["fallback_reason"]
        assert "BNNPAN_BUNDLE" not in tags
        fuse(raw.pan, raw.ms, None, asked := out.with_name("asked.tif"), memory=AMPLE, backend="classical")
        assert np.array_equal(read_raster(out), read_raster(asked))

    def test_a_golden_tile_that_is_not_reproduced(
        self, write_scene: SceneWriter, refuted_bundle: Path, tmp_path: Path
    ):
        self.check(write_scene(), refuted_bundle, tmp_path / "out.tif", 7, "the self-test fails")

    def test_a_bundle_that_is_not_there(self, write_scene: SceneWriter, tmp_path: Path):
        self.check(write_scene(), "absent.bnnpan", tmp_path / "out.tif", 4, "absent.bnnpan: no such bundle")

    def test_a_damaged_bundle(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        content = bytearray(bundle.path.read_bytes())
        content[bundle.entries["weights.safetensors"].offset + 5000] ^= 1
        (damaged := tmp_path / "damaged.bnnpan").write_bytes(content)
        self.check(write_scene(), damaged, tmp_path / "out.tif", 4, "damaged.bnnpan")

    @pytest.mark.parametrize(
        ("name", "words"), [("\ud800", "surrogates not allowed"), ("a\0b" + 600 * "c", "a?bccc")]
    )
    def test_a_bundle_whose_words_cannot_be_printed(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, name: str, words: str
    ):
        manifest = json.dumps({name: 1, **bundle.manifest.to_json()}).encode()
        with zipfile.ZipFile(strange := tmp_path / "strange.bnnpan", "w") as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST_NAME), manifest)
            for entry in bundle.manifest.files:
                archive.writestr(zipfile.ZipInfo(entry), bundle.read(entry))
        raw, out = write_scene(), tmp_path / "out.tif"
        report = fuse(raw.pan, raw.ms, strange, out, memory=AMPLE, fallback=True)
        assert report.fallback_reason is not None
        assert words in report.fallback_reason and len(report.fallback_reason) <= 500
        assert tags_of(out)["BNNPAN_FALLBACK_REASON"] == report.fallback_reason

    def test_a_bundle_for_other_bands(self, write_scene: SceneWriter, tmp_path: Path):
        raw = write_scene(bands=8)
        self.check(raw, "bgrn-x4", tmp_path / "out.tif", 3, "MS has 8 bands, bundle bgrn-x4 takes 4")

    def test_a_bundle_for_another_ratio(self, write_scene: SceneWriter, tmp_path: Path):
        raw = write_scene(180, 180, ms_shape=(90, 90), georeferenced=False)
        self.check(raw, "bgrn-x4", tmp_path / "out.tif", 3, "in a ratio of 2")


WITHOUT_ENGINES = """
import sys
sys.modules["onnxruntime"] = sys.modules["ai_edge_litert"] = sys.modules["larq_compute_engine"] = None
from bnnpan_runtime.cli import main
main(sys.argv[1:])
"""


def test_where_no_engine_is_installed(
    write_scene: SceneWriter, tmp_path: Path, subprocess_environment: dict[str, str]
):
    raw, out = write_scene(), tmp_path / "out.tif"
    environment = subprocess_environment | {"BNNPAN_NATIVE_LIBRARY": "/nowhere/libbnnpan.so"}
    command = [sys.executable, "-c", WITHOUT_ENGINES, "fuse", "--pan", raw.pan, "--ms", raw.ms]
    command += ["--out", out, "--memory", "128MiB"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert refused.returncode == 7 and "no backend is usable" in refused.stderr
    assert "--fallback" in refused.stderr and not out.exists()
    done = subprocess.run([*command, "--fallback"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first.startswith("method    MTF-GLP-FS, a classical one; the network is refused: no backend is")
    assert "the classical method MTF-GLP-FS makes the product: no backend is usable" in done.stderr


class TestWhatIsNoReasonToFallBack:
    def check(self, result: Result, code: int) -> None:
        found, error = refusal(result)
        assert found == code and "--fallback" not in error

    def test_a_scene_that_cannot_be_read(self, write_scene: SceneWriter, tmp_path: Path):
        raw = write_scene()
        raw.ms.write_bytes(b"no raster")
        self.check(bnnpan("fuse", raw, "--out", tmp_path / "o.tif", "--fallback"), 3)

    def test_a_budget_that_is_too_small(self, write_scene: SceneWriter, tmp_path: Path):
        rest = ("--out", tmp_path / "o.tif", "--fallback", "--memory", "8MiB")
        self.check(bnnpan("fuse", write_scene(), *rest), 5)
        self.check(bnnpan("fuse", write_scene(), *rest, "--backend", "classical"), 5)

    def test_a_backend_that_does_not_exist(self, write_scene: SceneWriter, tmp_path: Path):
        raw = write_scene()
        with pytest.raises(BackendError, match="no backend 'abacus'; there are auto, native") as caught:
            fuse(raw.pan, raw.ms, None, tmp_path / "o.tif", memory=AMPLE, backend="abacus", fallback=True)
        assert "--fallback" not in str(caught.value)

    def test_a_network_that_works(self, write_scene: SceneWriter, tmp_path: Path):
        report = report_of(bnnpan("fuse", write_scene(), "--out", tmp_path / "o.tif", "--fallback", "--json"))
        assert (report["method"], report["fallback_reason"]) == ("network", None)
        tags = tags_of(tmp_path / "o.tif")
        assert tags["BNNPAN_BUNDLE"] == "bgrn-x4" and "BNNPAN_METHOD" not in tags


class TestPlan:
    def test_it_says_that_the_network_is_refused(self, write_scene: SceneWriter, refuted_bundle: Path):
        raw = write_scene()
        assert refusal(bnnpan("plan", raw, "--bundle", refuted_bundle))[0] == 7
        planning = ("plan", raw, "--bundle", refuted_bundle, "--fallback")
        plan = report_of(bnnpan(*planning, "--json"))
        assert plan["backend"] == "classical" and "self-test" in str(plan["fallback_reason"])
        assert "not the network, which is refused: " in bnnpan(*planning).stdout

    def test_the_classical_method_can_be_planned(self, write_scene: SceneWriter):
        plan = report_of(bnnpan("plan", write_scene(bands=8), "--backend", "classical", "--json"))
        assert (plan["backend"], plan["fallback_reason"]) == ("classical", None)


class TestGeometry:
    def test_without_a_bundle_being_named_none_is_opened(self, write_scene: SceneWriter, tmp_path: Path):
        raw = write_scene(bands=5)
        rest = ("--backend", "classical", "--out", tmp_path / "o.tif", "--preview", tmp_path / "o.png")
        result = bnnpan("fuse", raw, *rest)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("method    MTF-GLP-FS, a classical one\n")
        with rasterio.open(tmp_path / "o.png") as picture:
            assert picture.shape == (200, 3 * 180 + 2 * 6)

    def test_a_bundle_that_is_named_has_to_fit(self, write_scene: SceneWriter, tmp_path: Path):
        rest = ("--backend", "classical", "--out", tmp_path / "o.tif", "--bundle")
        assert refusal(bnnpan("fuse", write_scene(bands=5), *rest, "bgrn-x4"))[0] == 3
        assert refusal(bnnpan("fuse", write_scene(), *rest, "absent"))[0] == 4

    def test_the_phase_is_the_bundles(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw, products = write_scene(), []
        for phase in ("centred", "toolbox"):
            phased = replace(bundle, manifest=replace(bundle.manifest, phase=phase))
            fuse(raw.pan, raw.ms, phased, out := tmp_path / phase, memory=AMPLE, backend="classical")
            products.append(read_raster(out))
        fuse(raw.pan, raw.ms, None, out := tmp_path / "none", memory=AMPLE, backend="classical")
        assert np.array_equal(read_raster(out), products[0])
        assert not np.array_equal(*products)


class TestBudget:
    """In processes of their own: the budget is that of the whole process."""

    def run(self, environment: dict[str, str], raw: RawScene, *arguments: object) -> dict[str, int]:
        command = [sys.executable, "-m", "bnnpan_runtime", *arguments[:1], "--pan", raw.pan, "--ms", raw.ms]
        command += [*arguments[1:], "--json"]
        result = subprocess.run([str(part) for part in command], env=environment, capture_output=True)
        assert result.returncode == 0, result.stderr
        report: dict[str, int] = json.loads(result.stdout)
        return report

    @pytest.mark.parametrize(
        ("memory", "threads", "compress", "nodata"),
        [("96MiB", 1, "none", None), ("112MiB", 2, "deflate", 0), ("256MiB", 1, "deflate", None)],
    )
    def test_the_peak_is_at_most_predicted_and_the_prediction_is_close(
        self,
        write_scene: SceneWriter,
        tmp_path: Path,
        subprocess_environment: dict[str, str],
        memory: str,
        threads: int,
        compress: str,
        nodata: int | None,
    ):
        raw = write_scene(1024, 1024, compress=compress, tiled=True, nodata=nodata)
        rest = ("--out", tmp_path / "o.tif", "--memory", memory, "--threads", threads)
        report = self.run(subprocess_environment, raw, "fuse", "--backend", "classical", *rest)
        measured, predicted = report["measured_peak_bytes"], report["predicted_peak_bytes"]
        assert measured <= predicted <= report["budget_bytes"] == parse_size(memory)
        assert predicted < 1.15 * measured

    @pytest.mark.parametrize("bands", [4, 8])
    def test_the_smallest_budget_works(
        self, write_scene: SceneWriter, tmp_path: Path, subprocess_environment: dict[str, str], bands: int
    ):
        raw = write_scene(1024, 1024, bands=bands, tiled=True)
        chosen = ("--backend", "classical", "--memory")
        smallest = self.run(subprocess_environment, raw, "plan", *chosen, AMPLE)["smallest_budget_bytes"]
        report = self.run(subprocess_environment, raw, "fuse", *chosen, smallest, "--out", tmp_path / "o.tif")
        assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= smallest

    def test_trying_the_network_first_keeps_the_budget(
        self,
        write_scene: SceneWriter,
        tmp_path: Path,
        subprocess_environment: dict[str, str],
        refuted_bundle: Path,
    ):
        raw = write_scene(1024, 1024, tiled=True)
        rest = ("--bundle", refuted_bundle, "--fallback", "--memory")
        smallest = self.run(subprocess_environment, raw, "plan", *rest, AMPLE)["smallest_budget_bytes"]
        report = self.run(subprocess_environment, raw, "fuse", *rest, smallest, "--out", tmp_path / "o.tif")
        assert report["measured_peak_bytes"] <= smallest
