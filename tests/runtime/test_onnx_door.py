"""The onnx backend with the kernels of libbnnpan: used where they can be, done without where not."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import tomllib
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import native_builds
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from requirements import missing

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import instruction_sets, library_path
from bnnpan_runtime.graph.onnx import KERNELS_VARIABLE, OnnxBackend
from bnnpan_runtime.graph.protocol import Backend
from bnnpan_runtime.verify import golden_check

Float32 = NDArray[np.float32]


@pytest.fixture(autouse=True)
def default_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KERNELS_VARIABLE, raising=False)


@pytest.fixture
def inputs(bundle: Bundle) -> tuple[Float32, Float32, Float32]:
    random = np.random.default_rng(5)
    pan, lms = (
        random.random((1, 94, 66), np.float32),
        random.random((bundle.manifest.network.bands, 94, 66), np.float32),
    )
    return pan, lms, bundle.golden().affines


def fused(backend: Backend, pan: Float32, lms: Float32, affines: Float32) -> Float32:
    out = np.full_like(lms, np.nan)
    backend.fuse(pan, lms, affines, out, np.empty(backend.memory(*pan.shape[1:]).arena_bytes, np.uint8))
    return out


def assert_same_but_for_signs(found: Float32, expected: Float32) -> None:
    """Sums rounded in another order differ in their last bits, and now and then a sign tips over."""
    difference = np.abs(found - expected)
    assert np.median(difference) < 2e-6
    assert np.mean(difference > 1e-4) < 0.02
    assert difference.max() < 0.1


def test_kernels_are_used_where_the_library_is_and_the_backend_says_so(bundle: Bundle):
    version, best = ort.__version__, instruction_sets()[0]
    assert OnnxBackend(bundle).isa == f"onnxruntime {version} with {best} kernels"
    assert OnnxBackend(bundle, kernels=False).isa == f"onnxruntime {version}"


@pytest.mark.parametrize("value", ["0", "1"])
def test_the_environment_chooses_unless_the_caller_does(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, value: str
):
    monkeypatch.setenv(KERNELS_VARIABLE, value)
    assert bool(OnnxBackend(bundle).kernels) == (value == "1")
    assert bool(OnnxBackend(bundle, kernels=value == "0").kernels) == (value == "0")


def test_a_choice_that_is_none_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KERNELS_VARIABLE, "maybe")
    with pytest.raises(BackendError, match=r"BNNPAN_ONNX_KERNELS.*maybe.*0 or 1"):
        OnnxBackend(bundle)


def operators_run(content: bytes, feed: dict[str, Float32], kernels: bool, folder: Path) -> set[str]:
    """Types of the nodes of a graph that ONNX Runtime's profile knows."""
    options = ort.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    if kernels:
        options.register_custom_ops_library(str(library_path()))
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_text())
    return {
        event["args"]["op_name"] for event in events if event["cat"] == "Node" and "op_name" in event["args"]
    }


def test_kernels_take_the_place_of_the_whole_network(bundle: Bundle, tmp_path: Path):
    network = bundle.manifest.network
    images = {"pan": np.ones((1, 1, 8, 8), np.float32), "lms": np.ones((1, network.bands, 8, 8), np.float32)}
    affines = {"affines": np.ones((network.blocks, 2, network.channels), np.float32)}
    content, feed = bundle.read("fuse.onnx"), images | affines
    own = operators_run(content, feed, True, tmp_path)
    assert "Fuse" in own and "PRelu" not in own
    assert "PRelu" in operators_run(content, feed, False, tmp_path)


@pytest.mark.parametrize("kernels", [True, False])
def test_the_golden_tile_passes_with_and_without_kernels(bundle: Bundle, kernels: bool):
    assert golden_check(OnnxBackend(bundle, kernels), bundle).passed


def test_kernels_compute_what_the_graph_computes(bundle: Bundle, inputs: tuple[Float32, Float32, Float32]):
    stock, kernels = OnnxBackend(bundle, kernels=False), OnnxBackend(bundle, kernels=True)
    assert_same_but_for_signs(fused(kernels, *inputs), fused(stock, *inputs))


def test_every_instruction_set_gives_the_same_bits(
    bundle: Bundle, inputs: tuple[Float32, Float32, Float32], monkeypatch: pytest.MonkeyPatch
):
    products = []
    for isa in instruction_sets():
        monkeypatch.setenv("BNNPAN_ISA", isa)
        backend = OnnxBackend(bundle, kernels=True)
        assert backend.kernels == isa
        products.append(fused(backend, *inputs))
    assert all(np.array_equal(product, products[0]) for product in products)


def test_windows_side_by_side_on_one_session_do_not_mix(bundle: Bundle):
    backend = OnnxBackend(bundle, kernels=True)
    network, affines = bundle.manifest.network, bundle.golden().affines
    random = np.random.default_rng(6)
    windows = [
        (random.random((1, *size), np.float32), random.random((network.bands, *size), np.float32), affines)
        for size in [(64, 64), (2, 2), (130, 30), (30, 130)] * 6
    ]
    alone = [fused(backend, *window) for window in windows]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda window: fused(backend, *window), windows))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_without_the_library_the_graphs_run_all_the_same(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("BNNPAN_NATIVE_LIBRARY", "/nowhere/libbnnpan.so")
    assert OnnxBackend(bundle).kernels is None
    assert not caplog.records
    with pytest.raises(BackendError, match="/nowhere"):
        OnnxBackend(bundle, kernels=True)


def test_a_library_that_cannot_be_used_is_named_and_done_without(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    damaged = tmp_path / "libbnnpan.so"
    damaged.write_text("no library")
    monkeypatch.setenv("BNNPAN_NATIVE_LIBRARY", str(damaged))
    with caplog.at_level(logging.WARNING):
        backend = OnnxBackend(bundle)
    assert backend.kernels is None and str(damaged) in caplog.text
    with pytest.raises(BackendError, match=r"libbnnpan\.so"):
        OnnxBackend(bundle, kernels=True)


def test_an_unknown_instruction_set_is_no_reason_to_stop(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("BNNPAN_ISA", "abacus")
    assert OnnxBackend(bundle).kernels is None
    assert "abacus" in caplog.text
    with pytest.raises(BackendError, match="abacus"):
        OnnxBackend(bundle, kernels=True)


def headers() -> list[Path]:
    """Folders of the order recorded here, and of ONNX Runtime's own header where one is installed."""
    installed = Path(os.environ.get("ONNXRUNTIME_INCLUDE") or "/usr/include/onnxruntime")
    recorded = Path(__file__).with_name("onnx_abi")
    return [recorded, *([installed] if (installed / "onnxruntime_c_api.h").is_file() else [])]


@pytest.mark.parametrize("header", headers(), ids=lambda folder: folder.name)
def test_the_declared_interface_is_that_of_the_header(repo_root: Path, header: Path):
    includes = [f"-I{header}", f"-I{repo_root}/runtime/native/doors/onnxruntime"]
    source = Path(__file__).with_name("onnx_abi_check.c")
    command = [native_builds.compiler(), "-std=c11", "-fsyntax-only", *includes, str(source)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


CHECK = """
import sys
import numpy as np
import onnxruntime as ort

library, fuse, inputs = sys.argv[1:]
given = np.load(inputs)


def run(kernels):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if kernels:
        options.register_custom_ops_library(library)
    session = ort.InferenceSession(fuse, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(given))[0]


apart = np.abs(run(True) - run(False))
print(ort.__version__, np.median(apart), np.mean(apart > 1e-4), apart.max())
"""


def interpreter_with(requirement: str, folder: Path) -> Path:
    """A virtual environment of its own with that ONNX Runtime."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    old = requirement.startswith("onnxruntime==1.1") and int(requirement.split(".")[1]) < 19
    packages = [requirement, "numpy<2" if old else "numpy"]
    result = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
    if result.returncode:
        missing("packages", f"pip cannot install {requirement}: {result.stderr.strip().splitlines()[-1]}")
    return python


def declared_oldest(repo_root: Path) -> str:
    project = tomllib.loads((repo_root / "runtime" / "pyproject.toml").read_text())["project"]
    (version,) = (
        re.fullmatch(r"onnxruntime>=([\d.]+)", entry) for entry in project["dependencies"] if "onnxr" in entry
    )
    assert version is not None
    return f"onnxruntime=={version[1]}.*"


@pytest.mark.slow
@pytest.mark.parametrize("choose", [declared_oldest, lambda _: "onnxruntime"], ids=["oldest", "newest"])
def test_oldest_and_newest_onnx_runtime_take_the_kernels(
    choose: Callable[[Path], str],
    bundle: Bundle,
    inputs: tuple[Float32, Float32, Float32],
    repo_root: Path,
    tmp_path: Path,
):
    python = interpreter_with(choose(repo_root), tmp_path / "venv")
    (tmp_path / "fuse.onnx").write_bytes(bundle.read("fuse.onnx"))
    pan, lms, affines = inputs
    np.savez(tmp_path / "inputs.npz", pan=pan[None], lms=lms[None], affines=affines)
    files = [tmp_path / name for name in ("fuse.onnx", "inputs.npz")]
    command = [python, "-c", CHECK, library_path(), *files]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr
    version, *figures = result.stdout.split()
    median, share, largest = map(float, figures)
    assert median < 2e-6 and share < 0.02 and largest < 0.1, version
    assert result.stderr == "", "ONNX Runtime complains"
