from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from command_line import ok, refusal, run
from raw_scenes import write_raster, write_raw_scene

from bnnpan_runtime.cli.options import BACKENDS
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.graph import BACKENDS as ENGINES
from bnnpan_runtime.preview import draw_comparison, write_png

AMPLE = "4GiB"  # of the whole test process, which may have loaded anything by now


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    ok("scene", "synth", "--size", 256, "--out", folder)
    return folder


@pytest.fixture
def scene(folder: Path) -> tuple[object, ...]:
    return ("--pan", folder / "pan.tif", "--ms", folder / "ms.tif")


def test_help_lists_every_exit_code():
    text = ok("--help")
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130):
        assert f" {code} " in text
    assert "..." not in text.partition("Options:")[2]


def test_help_imports_nothing_heavy(subprocess_environment: dict[str, str]):
    program = (
        "import sys\nfrom bnnpan_runtime.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print([name for name in ('numpy', 'rasterio', 'onnxruntime') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=subprocess_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.endswith("[]\n")


def test_backends_are_those_of_the_engine():
    assert BACKENDS == ENGINES


@pytest.mark.parametrize("size", ["128MB", "1.5GB", "12 parsecs", "-1MiB", "0", ""])
def test_sizes_that_are_no_binary_sizes_are_refused_with_a_hint(scene: tuple[object, ...], size: str):
    result = run("plan", *scene, "--memory", size)
    assert result.exit_code == 2 and "--memory" in result.stderr


def test_decimal_units_get_the_binary_ones_as_a_hint(scene: tuple[object, ...]):
    assert "128MiB" in run("plan", *scene, "--memory", "128MB").stderr


def test_plan_explains_the_memory(scene: tuple[object, ...]):
    plan = json.loads(ok("plan", *scene, "--memory", AMPLE, "--json"))
    assert plan["predicted_peak_bytes"] == sum(plan["terms"].values())
    table = ok("plan", *scene, "--memory", AMPLE)
    for term in plan["terms"]:
        assert f"\n{term} " in table
    assert "\nbudget" in table and "4096.00" in table


def test_fuse_then_quality_then_preview(folder: Path, scene: tuple[object, ...], tmp_path: Path):
    product, picture = tmp_path / "product.tif", tmp_path / "preview.png"
    fuse = ("fuse", *scene, "--out", product, "--memory", AMPLE, "--preview", picture)
    report = json.loads(ok(*fuse, "--json"))
    assert report["backend"] == "native" and report["pan_pixels"] == 256 * 256
    assert "measured" in ok(*fuse, "--overwrite")
    with rasterio.open(picture) as png:
        assert (png.driver, png.count, png.shape) == ("PNG", 3, (256, 3 * 256 + 2 * 6))

    judge = ("quality", *scene, "--fused", product)
    scores = json.loads(ok(*judge, "--truth", folder / "truth.tif", "--json"))
    assert scores["pixels"] == 256 * 256
    assert set(scores["truth"]["fused"]) == {"ERGAS", "SAM", "PSNR", "RMSE"}
    text = ok(*judge)
    assert "truth" not in text and "SCC" in text and "RMSE of band 4" in text


def test_a_preview_that_cannot_be_written_is_refused_before_any_work(
    scene: tuple[object, ...], tmp_path: Path
):
    product = tmp_path / "product.tif"
    rest = (*scene, "--out", product, "--memory", AMPLE, "--preview")
    assert "absent" in refusal(6, "fuse", *rest, tmp_path / "absent" / "preview.png")
    assert run("fuse", *rest, product).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_preview_of_a_very_narrow_scene_is_drawn(tmp_path: Path):
    raw = write_raw_scene(tmp_path, 64, 40_000)
    write_raster(tmp_path / "product.tif", np.ones((4, 64, 40_000), np.uint16))
    roles = ("blue", "green", "red", "nir")
    draw_comparison(str(raw.pan), str(raw.ms), str(tmp_path / "product.tif"), tmp_path / "p.png", roles)
    with rasterio.open(tmp_path / "p.png") as png:
        assert png.shape == (64, 3 * 400 + 2 * 6)


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path):
    with pytest.raises(OutputError, match=r"cannot write the picture[^\n]+$"):
        write_png(tmp_path / "absent" / "p.png", np.zeros((3, 4, 4), np.uint8))


def test_inspect_and_verify_speak_json_and_text():
    assert json.loads(ok("inspect", "bgrn-x4", "--json"))["network"]["bands"] == 4
    assert "weights.safetensors" in ok("inspect", "bgrn-x4")
    checks = json.loads(ok("verify", "bgrn-x4", "--backend", "native", "--json"))["checks"]
    assert {"name", "passed", "detail"} == set(checks[0])
    assert "golden tile: native" in ok("verify", "bgrn-x4", "--backend", "native")


def test_doctor_reports_sections():
    report = json.loads(ok("doctor", "--json"))
    assert set(report) == {"board", "software", "native", "backends", "roles"}
    assert "instruction_sets" in ok("doctor")


def test_each_kind_of_failure_has_its_exit_code(scene: tuple[object, ...], tmp_path: Path):
    out = ("--out", tmp_path / "o.tif")
    rest = (*scene, *out, "--memory", AMPLE)
    assert "absent.tif" in refusal(3, "fuse", "--pan", "absent.tif", *scene[2:], *out, "--memory", AMPLE)
    assert "absent" in refusal(4, "fuse", "--bundle", "absent", *rest)
    assert "absent" in refusal(4, "verify", "absent.bnnpan")
    assert "MiB" in refusal(5, "fuse", *scene, *out, "--memory", "8MiB")
    (tmp_path / "o.tif").write_text("precious")
    assert "o.tif" in refusal(6, "fuse", *rest)
    assert (tmp_path / "o.tif").read_text() == "precious"
    assert "multiple" in refusal(3, "scene", "synth", "--size", 65, "--out", tmp_path)


def test_a_failed_check_has_its_exit_code_and_still_reports(tmp_path: Path):
    (path := tmp_path / "b.bnnpan").write_bytes(bytes(100))
    result = run("verify", path, "--json")
    assert result.exit_code == 8
    assert [check["passed"] for check in json.loads(result.stdout)["checks"]] == [False, False]
    assert result.stderr.startswith("bnnpan: error: ")


def test_wrong_usage_is_told_by_click():
    assert run("fuse").exit_code == 2
    assert run("no-such-command").exit_code == 2
    assert run("scene", "synth", "--bands", "5", "--out", "x").exit_code == 2


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "bnnpan: interrupted\n"),
        (signal.SIGTERM, 143, ""),
        (signal.SIGHUP, 129, ""),
    ],
)
def test_a_run_that_is_ended_leaves_nothing(
    tmp_path: Path, subprocess_environment: dict[str, str], number: signal.Signals, code: int, words: str
):
    command = [sys.executable, "-m", "bnnpan_runtime", "scene", "synth", "--size", "16384", "--out", "scene"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=subprocess_environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("scene/.partial-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, words)
    assert not list(tmp_path.glob("scene/*")) and not list(tmp_path.glob("scene/.*"))


def heed_signals() -> None:
    """Tests run in the background or under nohup hand ignored signals down."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_a_pipe_sees_no_progress(
    scene: tuple[object, ...], tmp_path: Path, subprocess_environment: dict[str, str]
):
    command = [sys.executable, "-m", "bnnpan_runtime", "fuse", *map(str, scene)]
    command += ["--out", str(tmp_path / "o.tif"), "--memory", AMPLE, "--json"]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    json.loads(result.stdout)


def test_plug_ins_are_found_and_broken_ones_say_so(tmp_path: Path, subprocess_environment: dict[str, str]):
    (tmp_path / "good.py").write_text(
        "import click\n@click.command()\ndef command():\n    '''Good.'''\n    print('good')\n"
    )
    information = tmp_path / "plug-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    points = "[bnnpan.commands]\ngood = good:command\nbad = absent_module:command\nodd = json:dumps\n"
    (information / "entry_points.txt").write_text(points)
    environment = subprocess_environment | {
        "PYTHONPATH": f"{tmp_path}:{subprocess_environment['PYTHONPATH']}"
    }

    def bnnpan(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bnnpan_runtime", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    listing = bnnpan("--help")
    assert listing.returncode == 0 and "  fuse " in listing.stdout
    assert "Good." in listing.stdout and "Broken plug-in absent_module:command" in listing.stdout
    assert bnnpan("good").stdout == "good\n"
    broken = bnnpan("bad", "--any", "thing")
    assert broken.returncode == 1 and "No module named 'absent_module'" in broken.stderr
    assert "is not a command" in bnnpan("odd").stderr


@pytest.mark.parametrize("tile", ["15", "33", "-64"])
def test_a_tile_that_cannot_be_is_wrong_usage(tile: str):
    arguments = ("--pan", "p", "--ms", "m", "--out", "o", "--memory", "1GiB", "--tile", tile)
    result = run("fuse", *arguments)
    assert result.exit_code == 2
    assert "--tile" in result.stderr
