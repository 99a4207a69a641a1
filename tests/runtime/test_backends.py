"""Engines are opened by name, imported only when asked for, and agree with each other."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_scenes import SceneWriter, read_raster
from requirements import require_package

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, BundleError
from bnnpan_runtime.golden import golden_tile, sampled
from bnnpan_runtime.graph import BACKENDS, litert, open_backend, select
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.onnx import OnnxBackend
from bnnpan_runtime.graph.protocol import DnTile
from bnnpan_runtime.tile_engine import float_images
from bnnpan_runtime.units import quantise


def test_auto_takes_the_native_engine(bundle: Bundle):
    assert open_backend("auto", bundle).name == "native" == BACKENDS[0]


def test_auto_never_goes_past_damage(bundle: Bundle, tmp_path: Path):
    content = bytearray(bundle.path.read_bytes())
    content[bundle.entries["weights.safetensors"].offset + 5000] ^= 1
    damaged = tmp_path / "damaged.bnnpan"
    damaged.write_bytes(content)
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        open_backend("auto", Bundle.open(damaged))


def test_auto_goes_on_to_the_next_engine_and_says_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("BNNPAN_NATIVE_LIBRARY", "/nowhere/libbnnpan.so")
    with caplog.at_level(logging.WARNING):
        assert open_backend("auto", bundle).name == "onnx"
    assert "native" in caplog.text and "/nowhere" in caplog.text


def test_an_unknown_engine_is_refused(bundle: Bundle):
    with pytest.raises(BackendError, match="native, onnx, tflite"):
        open_backend("abacus", bundle)


def without(bundle: Bundle, *names: str) -> Bundle:
    """The same bundle as if exported without some files."""
    files = {name: entry for name, entry in bundle.manifest.files.items() if name not in names}
    return replace(bundle, manifest=replace(bundle.manifest, files=files, tflite_window=0))


def test_a_bundle_without_the_graphs_of_an_engine_is_named(bundle: Bundle):
    with pytest.raises(BundleError, match=r"fuse\.onnx"):
        open_backend("onnx", without(bundle, "fuse.onnx"))
    with pytest.raises(BundleError, match=r"fuse\.tflite"):
        open_backend("tflite", without(bundle, "fuse.tflite"))


FORBIDDEN = """
import sys
from bnnpan_runtime import fuse

fuse(*sys.argv[1:5], memory="1GiB", backend=sys.argv[5])
heavy = {"onnxruntime", "onnx", "torch", "tensorflow", "larq_compute_engine", "scipy", "bnnpan"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(("backend", "expected"), [("native", []), ("auto", [])])
def test_a_native_run_imports_no_other_engine(
    write_scene: SceneWriter,
    bundle: Bundle,
    tmp_path: Path,
    subprocess_environment: dict[str, str],
    backend: str,
    expected: list[str],
):
    raw = write_scene()
    command = [sys.executable, "-c", FORBIDDEN, raw.pan, raw.ms, bundle.path, tmp_path / "out.tif", backend]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == str(expected), result.stderr


def test_importing_the_package_imports_nothing_else(subprocess_environment: dict[str, str]):
    program = (
        "import sys, bnnpan_runtime; print({'numpy', 'rasterio', 'click', 'safetensors'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_the_plan_function_stays_a_function_after_a_run_is_imported(subprocess_environment: dict[str, str]):
    program = "import bnnpan_runtime.run, bnnpan_runtime; print(callable(bnnpan_runtime.plan))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, check=True)
    assert result.stdout.split()[0] == "True"


def differing(one: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    distance = np.abs(one.astype(int) - other.astype(int))
    return int(distance.max()), float((distance > 1).mean())


def test_onnx_and_native_make_the_same_product(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    """Binary layers turn a last-bit difference into a whole step now and then, so a few pixels may differ."""
    raw = write_scene()
    products = []
    for backend in ("native", "onnx"):
        fuse(raw.pan, raw.ms, bundle, tmp_path / f"{backend}.tif", memory="4GiB", backend=backend)
        products.append(read_raster(tmp_path / f"{backend}.tif"))
    assert differing(*products)[1] < 1e-3


def test_tflite_and_native_make_the_same_product(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    require_package("ai_edge_litert")
    raw = write_scene()
    products = []
    for backend in ("native", "tflite"):
        fuse(raw.pan, raw.ms, bundle, tmp_path / f"{backend}.tif", memory="4GiB", backend=backend)
        products.append(read_raster(tmp_path / f"{backend}.tif"))
    assert differing(*products)[1] < 1e-3


def test_the_native_engine_gives_the_golden_product(bundle: Bundle):
    """The whole arithmetic but the reading: DN in, LMS, network, DN out, as the reference made it."""
    golden = bundle.golden()
    tile, window, resampler = golden_tile(golden, bundle.manifest)
    pan, lms = float_images(tile, window, resampler)
    backend, hrms = open_backend("native", bundle), np.empty_like(lms)
    arena = np.empty(backend.memory(window.height, window.width).arena_bytes, np.uint8)
    backend.fuse(pan, lms, golden.affines, hrms, arena)
    product = np.empty(hrms.shape, np.uint16)
    quantise(hrms, tile.units.ms_offset, tile.units.ms_scale, product)
    assert differing(sampled(product), golden.hrms)[1] < 1e-3


def test_a_backend_that_computes_wrongly_is_refused_and_auto_moves_on(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right = NativeBackend.fuse_tile

    def wrong(self: NativeBackend, tile: DnTile, *arguments: Any) -> None:
        right(self, tile, *arguments)
        tile.product[...] += 20

    monkeypatch.setattr(NativeBackend, "fuse_tile", wrong)
    with pytest.raises(BackendError, match=r"native: the self-test fails, its results cannot be trusted"):
        open_backend("native", bundle, self_test=True)
    assert open_backend("auto", bundle, self_test=True).name == "onnx"
    assert "backend native is not usable: native: the self-test fails" in caplog.text


@pytest.mark.parametrize("raises", [False, True])
def test_kernels_that_fail_do_not_cost_the_onnx_backend(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    right = OnnxBackend.fuse

    def wrong(self: OnnxBackend, pan: Any, lms: Any, affines: Any, out: Any, arena: Any) -> None:
        right(self, pan, lms, affines, out, arena)
        if self.kernels and raises:
            raise BackendError("kernels: drifted")
        out += 0.01 if self.kernels else 0

    monkeypatch.setattr(OnnxBackend, "fuse", wrong)
    backend = open_backend("onnx", bundle, self_test=True)
    assert isinstance(backend, OnnxBackend) and backend.kernels is None
    assert "backend onnx goes on without kernels, they fail the self-test" in caplog.text
    monkeypatch.setenv("BNNPAN_ONNX_KERNELS", "1")
    with pytest.raises(BackendError, match="onnx: the self-test fails"):
        open_backend("onnx", bundle, self_test=True)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("exit 0", None),
        ("exit 8", None),  # a verdict all the same: the golden tile decides
        ("exit 1", "exit status 1"),
        ("kill -11 $$", "exit status -11"),
        ("exec sleep 60", "no end within 1 s"),
    ],
)
def test_an_unknown_litert_is_tried_in_another_process_first(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, reason: str | None
) -> None:
    require_package("ai_edge_litert")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{end}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(litert, "NEWEST_TRIED", (0, 9))
    monkeypatch.setattr(select, "_TRIAL_SECONDS", 1)
    if reason is None:
        assert open_backend("tflite", bundle, self_test=True).name == "tflite"
    else:
        with pytest.raises(BackendError, match=rf"does not work with libbnnpan \({reason}\)"):
            open_backend("tflite", bundle, self_test=True)
    assert (tmp_path / "asked").read_text().split()[-2:] == ["--backend", "tflite"]


def test_the_shipped_network_takes_less_than_3_mib_of_scratch_for_a_tile(bundle: Bundle) -> None:
    assert open_backend("native", bundle).memory(256, 256).arena_bytes < 3 * 2**20
