"""What the ground side adds to `bnnpan bench` computes what it claims to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from requirements import require_package

from bnnpan_export.assemble import Exported
from bnnpan_export.bench.bundles import random_bundle
from bnnpan_export.bench.ground import SIDE
from bnnpan_export.bench.litert import LiteRtFloat
from bnnpan_export.bench.onnx_int8 import convolutions_only, quantised
from bnnpan_export.bench.onnx_parts import part
from bnnpan_export.bench.onnx_session import GraphBackend, open_session
from bnnpan_export.bench.pytorch import PyTorchBackend
from bnnpan_export.bundle import write_bundle
from bnnpan_runtime.bench.network import Images, Network, images
from bnnpan_runtime.bench.rows import Case
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BnnpanError
from bnnpan_runtime.graph import Backend, open_backend
from bnnpan_runtime.graph.onnx import OnnxBackend

SIDE_PIXELS = 32


@pytest.fixture(scope="module")
def bundle(small_export: Exported, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("bench") / "small.bnnpan"
    write_bundle(path, small_export.content)
    return Bundle.open(path)


@pytest.fixture(scope="module")
def window(bundle: Bundle) -> Images:
    return images(Network.of(bundle), SIDE_PIXELS)


def fused(backend: Backend, window: Images) -> NDArray[np.float32]:
    out = np.full_like(window.lms, np.nan)
    arena = np.empty(backend.memory(window.window.height, window.window.width).arena_bytes, np.uint8)
    backend.fuse(window.pan, window.lms, window.affines, out, arena)
    return out


def test_the_parts_of_the_graph_one_after_another_are_the_graph(bundle: Bundle, window: Images) -> None:
    content = bundle.read("fuse.onnx")
    tensors = {"pan": window.pan[None], "lms": window.lms[None], "affines": window.affines}
    for name, output in (("head", "head"), ("trunk", "trunk"), ("tail", "hrms")):
        session = open_session(part(content, name))
        inputs = {value.name: tensors[value.name] for value in session.get_inputs()}
        (tensors[output],) = session.run([output], inputs)
    whole = fused(OnnxBackend(bundle, kernels=False), window)
    np.testing.assert_allclose(tensors["hrms"][0], whole, atol=1e-5)


def test_the_8_bit_graph_has_no_float_convolution_left(bundle: Bundle, window: Images) -> None:
    model = quantised(bundle)
    operators = [node.op_type for node in model.graph.node]
    operators += [node.op_type for function in model.functions for node in function.node]
    assert operators.count("QLinearConv") == 3 and "Conv" not in operators
    assert np.isfinite(fused(GraphBackend(model), window)).all()


def test_the_bare_convolutions_run_at_any_size(bundle: Bundle, window: Images) -> None:
    backend = GraphBackend(convolutions_only(bundle.manifest.network))
    assert np.isfinite(fused(backend, window)).all()


def test_pytorch_runs_a_network_of_the_same_sizes(bundle: Bundle, window: Images) -> None:
    assert np.isfinite(fused(PyTorchBackend(bundle), window)).all()


def test_windows_side_by_side_in_litert_do_not_meet() -> None:
    require_package("ai_edge_litert")
    bundle = Bundle.open("bgrn-x4")
    backend, side = LiteRtFloat(bundle), bundle.manifest.tflite_window
    windows = [images(Network.of(bundle), side, seed) for seed in range(3)]
    alone = [fused(backend, window) for window in windows]
    with ThreadPoolExecutor(3) as pool:
        for index, out in enumerate(pool.map(partial(fused, backend), windows * 4)):
            np.testing.assert_array_equal(out, alone[index % 3])


def test_a_random_bundle_fuses_alike_in_every_engine(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnpan_export.bench.bundles.missing_packages", lambda: ["tensorflow"])
    wide = random_bundle(bundle.manifest, 16)
    assert wide.manifest.network.channels == 16
    window = images(Network.of(wide), SIDE_PIXELS)
    stock = fused(OnnxBackend(wide, kernels=False), window)
    # A sign next to its threshold may flip where sums are added in another order.
    assert np.median(np.abs(fused(open_backend("native", wide), window) - stock)) < 1e-5


def test_every_competitor_runs_or_says_why(bundle: Bundle, window: Images) -> None:
    network = Network.of(bundle)
    for competitor in SIDE.competitors():
        for stage in competitor.stages:
            case = Case(stage, network.shape.channels, SIDE_PIXELS, 2)
            try:
                runs = competitor.prepare(network, window, case)
            except BnnpanError as error:
                assert str(error)
            else:
                assert len(runs) == 2 and runs[0](1) > 0


def test_the_temporary_bundle_is_a_file_of_its_own(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnpan_export.bench.bundles.missing_packages", lambda: ["tensorflow"])
    first, second = (random_bundle(bundle.manifest, 8).path for _ in range(2))
    assert Path(first).is_file() and Path(second).is_file() and first != second
