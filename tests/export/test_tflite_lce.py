from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from requirements import require_package

from bnnpan.checkpoint import save_model
from bnnpan.config import Experiment
from bnnpan.model import ModelConfig
from bnnpan_export.assemble import Identity, export_bundle
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.freeze import freeze
from bnnpan_export.tflite_file import operator_names, read_model
from bnnpan_export.tflite_lce import TFLITE_WINDOW, fuse_tflite, missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError

TINY = ModelConfig(channels=8, blocks=1, latent=4, prior_steps=1, outer_skip=True, pooled_encoder="rectified")
IDENTITY = Identity("bgrn-x4", "none", ("blue", "green", "red", "nir"), 11, "centred")


@pytest.fixture
def larq() -> None:
    for name in missing_packages():
        require_package(name)


needs_larq = pytest.mark.usefixtures("larq")


@pytest.fixture(scope="module")
def partial_word() -> tuple[FrozenNetwork, Any]:
    """A network whose channels do not fill a word, and its graph."""
    for name in missing_packages():
        require_package(name)
    network = freeze(random_network(ModelConfig(channels=24, blocks=2, latent=4)))
    return network, read_model(fuse_tflite(network))


def operators(model: Any, kind: str) -> list[Any]:
    (graph,) = model.subgraphs
    return [op for op, name in zip(graph.operators, operator_names(model), strict=True) if name == kind]


def values(model: Any, tensor: int, dtype: type) -> NDArray[Any]:
    """Of a constant."""
    (graph,) = model.subgraphs
    data = model.buffers[graph.tensors[tensor].buffer].data
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype)


def options(operator: Any) -> dict[str, int]:
    from flatbuffers import flexbuffers

    found: dict[str, int] = flexbuffers.Loads(np.asarray(operator.customOptions, np.uint8).tobytes())
    return found


@needs_larq
def test_the_graph_matches_the_network_and_is_in_the_bundle() -> None:
    exported = export_bundle(random_network(TINY), IDENTITY, ["tflite", "bits"])
    manifest = exported.manifest
    assert manifest.tflite_window == TFLITE_WINDOW
    assert "fuse.tflite" in manifest.files
    assert manifest.parity["tflite"].share_over_1dn == 0
    assert manifest.parity["tflite"].rms_dn < 0.01
    window_bytes = 4 * TINY.channels * TFLITE_WINDOW**2
    assert manifest.memory["tflite"].fixed_bytes > window_bytes


def test_the_operators_are_these_and_only_head_and_tail_are_float_convolutions(
    partial_word: tuple[FrozenNetwork, Any],
) -> None:
    network, model = partial_word
    found = Counter(operator_names(model))
    assert found["LceQuantize"] == found["LceBconv2d"] == 4 * network.shape.blocks
    assert found["CONV_2D"] == 2
    assert set(found) == {
        *("LceQuantize", "LceBconv2d", "PRELU", "CONV_2D", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE"),
        *("CONCATENATION", "SPLIT", "STRIDED_SLICE", "ADD", "SUB", "MUL", "DIV", "SQRT", "MEAN"),
    }


def test_every_filter_is_that_of_a_sub_band_to_the_bit(partial_word: tuple[FrozenNetwork, Any]) -> None:
    """A bit is a negative weight, in words of 32 inputs: no permutation, no other sign."""
    network, model = partial_word
    expected = sorted(bits.tobytes() for bits in network["trunk.bits"].reshape(8, -1))
    found = [values(model, op.inputs[1], np.uint8).tobytes() for op in operators(model, "LceBconv2d")]
    assert sorted(found) == expected


def test_scale_and_shift_became_the_multiplier_and_bias_of_the_binary_convolution(
    partial_word: tuple[FrozenNetwork, Any],
) -> None:
    """In the order convolution, affine, PReLU; in another they stay as operators of their own."""
    network, model = partial_word
    prelu = {int(op.inputs[0]) for op in operators(model, "PRELU")}
    filters = [bits.tobytes() for bits in network["trunk.bits"].reshape(8, -1)]
    for op in operators(model, "LceBconv2d"):
        place = np.unravel_index(filters.index(values(model, op.inputs[1], np.uint8).tobytes()), (2, 4))
        multiplier, bias = (values(model, op.inputs[i], np.float32) for i in (2, 3))
        assert np.array_equal(multiplier, network["trunk.scale"][place])
        assert np.array_equal(bias, -network["trunk.gamma"][place])
        assert int(op.outputs[0]) in prelu


def test_the_border_is_zero_and_no_activation_is_fused(partial_word: tuple[FrozenNetwork, Any]) -> None:
    """Padding with one is another network; with zeros, no fused activation and no bits as output exist."""
    _, model = partial_word
    (graph,) = model.subgraphs
    for op in operators(model, "LceBconv2d"):
        found = options(op)
        assert (found["channels_in"], found["padding"], found["pad_values"]) == (24, 0, 0)
        assert found["fused_activation_function"] == 0
        assert list(op.inputs[4:]) == [-1] and graph.tensors[op.outputs[0]].type == 0  # float32


def test_all_sizes_are_fixed(partial_word: tuple[FrozenNetwork, Any]) -> None:
    """Open sizes make the converter write operators that no interpreter has, without a word."""
    _, model = partial_word
    (graph,) = model.subgraphs
    assert all(min(tensor.shape, default=1) > 0 for tensor in graph.tensors if tensor.shape is not None)
    assert not {"LceDequantize", "PADV2", "Conv2D", "FlexConv2D"} & set(operator_names(model))


@needs_larq
def test_nothing_is_stored_that_no_interpreter_reads() -> None:
    model = read_model(fuse_tflite(freeze(random_network(TINY))))
    (graph,) = model.subgraphs
    named = [index for index, tensor in enumerate(graph.tensors) if tensor.name]
    assert sorted(named) == sorted({*graph.inputs, *graph.outputs})
    constants = [buffer.data.tobytes() for buffer in model.buffers if buffer.data is not None]
    assert len(set(constants)) == len(constants) == len(model.buffers) - 1


@needs_larq
def test_a_keras_that_larq_is_not_made_for_is_refused(tmp_path: Path) -> None:
    """TensorFlow settles on one when it is imported, which may be before the exporter is asked."""
    program = (
        "import tensorflow\n"
        "from bnnpan_export.freeze import freeze\n"
        "from bnnpan_export.tflite_lce import fuse_tflite\n"
        "from bnnpan_export.untrained import random_network\n"
        "from bnnpan.model import ModelConfig\n"
        "from bnnpan_runtime.errors import BackendError\n"
        "try:\n"
        "    fuse_tflite(freeze(random_network(ModelConfig(channels=8, blocks=1, latent=4))))\n"
        "except BackendError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "TF_USE_LEGACY_KERAS=1" in done.stdout


@needs_larq
def test_conversion_is_reproducible() -> None:
    network = freeze(random_network(TINY))
    assert fuse_tflite(network) == fuse_tflite(network)


WITHOUT = """
import sys
from importlib.machinery import PathFinder


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in BLOCKED else super().find_spec(name, path, target)


BLOCKED = ("larq_compute_engine", "larq", "tensorflow", "tf_keras")
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from bnnpan_runtime.cli import main
main(["export", *sys.argv[1:]])
"""


@pytest.mark.parametrize("wanted", [None, "tflite"])
def test_without_larq_export_says_what_is_missing_and_makes_the_rest(
    wanted: str | None, tmp_path: Path
) -> None:
    save_model(tmp_path / "model.safetensors", random_network(TINY), Experiment(model=TINY), {})
    out = tmp_path / "out.bnnpan"
    command = [sys.executable, "-c", WITHOUT, str(tmp_path), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command += ["--formats", wanted] if wanted else []
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "larq_compute_engine" in done.stderr and "Traceback" not in done.stderr
    if wanted:
        assert done.returncode == BackendError.exit_code and not out.exists()
    else:
        assert done.returncode == 0 and "leaving out tflite" in done.stderr
        files = Bundle.open(out).manifest.files
        assert "fuse.onnx" in files and "fuse.tflite" not in files


def test_an_export_that_asks_for_tflite_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnpan_export.assemble.missing_packages", lambda: ["larq_compute_engine"])
    with pytest.raises(BackendError, match="larq_compute_engine"):
        export_bundle(random_network(TINY), IDENTITY, ["tflite"])
