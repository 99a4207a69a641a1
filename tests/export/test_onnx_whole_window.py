"""The single node of fuse.onnx in the kernels of libbnnpan: the native engine inside ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from bnnpan.model import ModelConfig
from bnnpan_export.assemble import Exported
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.freeze import freeze
from bnnpan_export.onnx_graph import fuse_graph
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph.libbnnpan import library_path
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.onnx import OnnxBackend

from .conftest import SMALL, images


def session(network: FrozenNetwork) -> Any:
    model = fuse_graph(network, {})
    # ONNX Runtime would check the declared shapes before the kernel does.
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.ClearField("shape")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.register_custom_ops_library(str(library_path()))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def test_it_gives_the_bits_of_the_native_engine(config: ModelConfig) -> None:
    network = freeze(random_network(config))
    engine, fuse = NativeBackend(network.tensors, network.shape), session(network)
    random = np.random.default_rng(1)
    affines = (1 + 0.1 * random.standard_normal((config.blocks, 2, config.channels))).astype(np.float32)
    for height, width in ((2, 2), (6, 34), (38, 90)):
        pan, lms = images(config.bands, height, width, count=2)
        found = fuse.run(["hrms"], {"pan": pan, "lms": lms, "affines": affines})[0]
        arena = np.empty(engine.memory(height, width).arena_bytes, np.uint8)
        for image in range(2):
            expected = np.empty_like(lms[image])
            engine.fuse(pan[image], lms[image], affines, expected, arena)
            assert np.array_equal(found[image], expected)


@pytest.mark.parametrize(
    ("pan", "lms", "affines", "message"),
    [
        (
            (1, 1, 8, 8),
            (1, 5, 8, 8),
            (2, 2, 8),
            r"lms have shape \(1, 5, 8, 8\), must be \(n, 4, height, width\)",
        ),
        ((1, 1, 8, 9), (1, 4, 8, 9), (2, 2, 8), r"lms have shape \(1, 4, 8, 9\), .*both even, 2 to 32768"),
        ((1, 1, 8, 6), (1, 4, 8, 8), (2, 2, 8), r"pan have shape \(1, 1, 8, 6\), must be \(1, 1, 8, 8\)"),
        ((2, 1, 8, 8), (1, 4, 8, 8), (2, 2, 8), r"pan have shape \(2, 1, 8, 8\), must be \(1, 1, 8, 8\)"),
        ((1, 1, 8, 8), (1, 4, 8, 8), (2, 1, 8), r"affines have shape \(2, 1, 8\), must be \(2, 2, 8\)"),
    ],
)
def test_inputs_of_another_shape_are_refused(
    pan: tuple[int, ...], lms: tuple[int, ...], affines: tuple[int, ...], message: str
) -> None:
    fuse = session(freeze(random_network(SMALL)))
    shapes = {"pan": pan, "lms": lms, "affines": affines}
    with pytest.raises(Exception, match=f"Fuse: {message}"):
        fuse.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


def test_a_process_stays_within_the_memory_stated(small_export: Exported, tmp_path: Path) -> None:
    file = tmp_path / "small.bnnpan"
    file.write_bytes(small_export.content)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for side in (16, 384):
        stated = OnnxBackend(Bundle.open(file), kernels=True).memory(side, side)
        command = [
            sys.executable,
            "-m",
            "bnnpan_export.memory_probe",
            file,
            "onnx-kernels",
            str(side),
        ]
        measured = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert int(measured.stdout) <= stated.arena_bytes + stated.library_bytes < 4 * 2**20
