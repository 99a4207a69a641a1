"""The aarch64 wheel on emulated Cortex cores: the same product as on x86-64, byte for byte."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from raw_scenes import RawScene, write_raw_scene
from requirements import missing, program, require_package

from bnnpan_runtime.golden import LARGEST_SHARE_CHANGED, LARGEST_SHARE_OVER_1DN
from bnnpan_sim.aarch64.environment import Environment, Unavailable, install, prepare
from bnnpan_sim.board import load_board

pytestmark = pytest.mark.slow

SIDE, TILE = 112, 64
"""PAN pixels: four tiles that overlap, and no more, since emulation is slow."""

BOARDS = ("pi-zero-2w", "pi-4b-2g", "pi-5-4g")
"""Cortex-A53, A72 and A76."""

Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def environment(repo_root: Path) -> Environment:
    project = tomllib.loads((repo_root / "runtime" / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["tflite"]]
    try:
        return prepare(requirements, repo_root / "constraints.txt")
    except Unavailable as error:
        missing("tools", f"no aarch64 environment: {error}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> RawScene:
    return write_raw_scene(tmp_path_factory.mktemp("scene"), SIDE, SIDE)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the products, named after the core or engine they come from."""
    return tmp_path_factory.mktemp("products")


@pytest.fixture(scope="module")
def installed(
    environment: Environment, aarch64_wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder that holds the aarch64 wheel."""
    folder = tmp_path_factory.mktemp("installed")
    install(aarch64_wheel, folder)
    return folder


@pytest.fixture(scope="module")
def runs(
    environment: Environment, installed: Path, scene: RawScene, products: Path
) -> Iterator[dict[str, Future[Run]]]:
    """What the tests look at, run side by side, the longest first: emulation takes half a minute for each."""
    commands = {"stock": ("pi-4b-2g", fuse(scene, products / "stock.tif", "onnx", tile=SIDE))}
    commands["litert"] = ("pi-5-4g", fuse(scene, products / "litert.tif", "tflite"))
    commands |= {name: (name, fuse(scene, products / f"{name}.tif", "native")) for name in BOARDS}
    commands["doctor"] = ("pi-zero-2w", ["doctor", "--json"])
    commands["verify"] = ("pi-5-4g", ["verify", "bgrn-x4", "--backend", "native", "--json"])

    def run(name: str) -> Run:
        board, arguments = commands[name]
        variables = {"BNNPAN_ONNX_KERNELS": "0"} if name == "stock" else {}
        command = ("-m", "bnnpan_runtime", *arguments)
        return environment.run(command, board=load_board(board), packages=[installed], variables=variables)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(run, name) for name in commands}


@pytest.fixture(scope="module")
def run_on_x86(
    wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[str]], str]:
    """Runs Python with the x86-64 wheel; gives what it prints."""
    folder = tmp_path_factory.mktemp("x86")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    subprocess.run([*pip, wheels["x86_64"]], check=True)
    variables = os.environ | {"PYTHONPATH": str(folder)}
    variables.pop("BNNPAN_NATIVE_LIBRARY", None)

    def run(arguments: Sequence[str]) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture(scope="module")
def x86_product(scene: RawScene, products: Path, run_on_x86: Callable[[Sequence[str]], str]) -> Path:
    """What the native engine makes of the scene on x86-64."""
    product = products / "x86.tif"
    run_on_x86(["-m", "bnnpan_runtime", *fuse(scene, product, "native")])
    return product


def fuse(scene: RawScene, product: Path, backend: str, tile: int = TILE) -> list[str]:
    files = ["--pan", str(scene.pan), "--ms", str(scene.ms), "--out", str(product)]
    return ["fuse", *files, "--backend", backend, "--tile", str(tile), "--memory", "512MiB", "--json"]


def report(run: Future[Run]) -> dict[str, Any]:
    """What a command that succeeded says as JSON."""
    result = run.result()
    assert result.returncode == 0, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.mark.parametrize("board", BOARDS)
def test_the_product_is_that_of_x86(
    board: str, runs: dict[str, Future[Run]], products: Path, x86_product: Path
):
    fused = report(runs[board])
    assert (fused["backend"], fused["isa"]) == ("native", "neon")
    assert (products / f"{board}.tif").read_bytes() == x86_product.read_bytes()


def assert_close(product: Path, other: Path) -> None:
    """Alike but for signs next to their thresholds, which flip where sums are added in another order."""
    with rasterio.open(product) as one, rasterio.open(other) as two:
        apart = np.abs(one.read().astype(np.int32) - two.read())
    assert np.mean(apart > 0) <= LARGEST_SHARE_CHANGED
    assert np.mean(apart > 1) <= LARGEST_SHARE_OVER_1DN


def test_stock_onnx_runtime_comes_close(runs: dict[str, Future[Run]], products: Path, x86_product: Path):
    fused = report(runs["stock"])
    assert fused["backend"] == "onnx" and "kernels" not in fused["isa"]
    assert_close(products / "stock.tif", x86_product)


def test_the_stock_wheel_of_litert_fuses_with_our_kernels(
    runs: dict[str, Future[Run]], products: Path, x86_product: Path, repo_root: Path
):
    """Its calibration is numpy's, which adds up in another order."""
    fused = report(runs["litert"])
    (version,) = re.findall(r"^ai-edge-litert==(.+)$", (repo_root / "constraints.txt").read_text(), re.M)
    assert (fused["backend"], fused["isa"]) == ("tflite", f"ai-edge-litert {version} with neon kernels")
    assert_close(products / "litert.tif", x86_product)


WINDOW_IN_LITERT = """
import hashlib
import numpy as np
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph.tflite import TfliteBackend

engine = TfliteBackend(Bundle.open("bgrn-x4"))
random = np.random.default_rng(0)
pan, lms = random.random((1, 64, 96), np.float32), random.random((4, 64, 96), np.float32)
affines = random.random((4, 2, 32), np.float32)
out = np.empty_like(lms)
engine.fuse(pan, lms, affines, out, np.empty(0, np.uint8))
print(hashlib.sha256(out).hexdigest())
"""


def test_a_window_in_litert_has_the_bits_of_x86(
    environment: Environment, installed: Path, run_on_x86: Callable[[Sequence[str]], str]
):
    require_package("ai_edge_litert")
    there = environment.run(["-c", WINDOW_IN_LITERT], board=load_board("pi-4b-2g"), packages=[installed])
    assert there.returncode == 0, there.stderr
    assert there.stdout == run_on_x86(["-c", WINDOW_IN_LITERT])


def test_doctor_passes_on_the_smallest_core(runs: dict[str, Future[Run]]):
    examination = report(runs["doctor"])
    board, outcomes = examination["board"], examination["backends"]
    assert (board["machine"], board["cpu"]) == ("aarch64", "implementer 0x41, part 0xd03")
    assert examination["native"]["instruction_sets"][0] == "neon"
    assert outcomes["native"].startswith("passed: neon")
    assert outcomes["onnx"].startswith("passed") and "with neon kernels" in outcomes["onnx"]


def test_verify_passes_on_the_largest_core(runs: dict[str, Future[Run]]):
    checks = report(runs["verify"])["checks"]
    assert checks and all(check["passed"] for check in checks)


def test_a_core_refuses_instructions_it_does_not_have(environment: Environment, tmp_path: Path):
    """So that the tests above would fail if the library needed more than the first 64-bit boards have."""
    compiler = program("aarch64-linux-gnu-gcc")
    source, library = tmp_path / "dot.c", tmp_path / "dot.so"
    source.write_text('void dot(void) { __asm__ volatile("udot v0.4s, v0.16b, v0.16b"); }\n')
    command = [compiler, "-shared", "-fPIC", "-march=armv8.2-a+dotprod", source, "-o", library]
    subprocess.run(command, check=True)
    call = ("-c", f"import ctypes; ctypes.CDLL({str(library)!r}).dot()")
    assert environment.run(call, board=load_board("pi-5-4g")).returncode == 0
    assert environment.run(call, board=load_board("pi-4b-2g")).returncode == -signal.SIGILL
