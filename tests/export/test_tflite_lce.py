from __future__ import annotations

from collections import Counter

import pytest
from requirements import require_package

from bnnpan.model import ModelConfig
from bnnpan_export.assemble import Identity, export_bundle
from bnnpan_export.freeze import freeze
from bnnpan_export.tflite_lce import TFLITE_WINDOW, fuse_tflite, missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_runtime.errors import BackendError

TINY = ModelConfig(channels=8, blocks=1, latent=4, prior_steps=1, outer_skip=True, pooled_encoder="rectified")
IDENTITY = Identity("bgrn-x4", "none", ("blue", "green", "red", "nir"), 11, "centred")


@pytest.fixture
def larq() -> None:
    for name in missing_packages():
        require_package(name)


needs_larq = pytest.mark.usefixtures("larq")


def operators(content: bytes) -> Counter[str]:
    """Names of all operators of a flatbuffer, custom ones by their own name."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    return Counter(codes[node.opcodeIndex] for node in model.subgraphs[0].operators)


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


@needs_larq
def test_binary_convolutions_are_larq_operators_and_only_head_and_tail_are_float() -> None:
    config = ModelConfig(channels=24, blocks=2, latent=4)
    found = operators(fuse_tflite(freeze(random_network(config))))
    assert found["LceQuantize"] == found["LceBconv2d"] == 4 * config.blocks
    assert found["CONV_2D"] == 2
    assert not [name for name in found if name.startswith(("DEPTHWISE", "FLEX", "LceDequantize"))]


@needs_larq
def test_nothing_is_stored_that_no_interpreter_reads() -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    network = freeze(random_network(TINY))
    content = fuse_tflite(network)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    named = [index for index, tensor in enumerate(graph.tensors) if tensor.name]
    assert sorted(named) == sorted({*graph.inputs, *graph.outputs})
    constants = [buffer.data.tobytes() for buffer in model.buffers if buffer.data is not None]
    assert len(set(constants)) == len(constants) == len(model.buffers) - 1


@needs_larq
def test_conversion_is_reproducible() -> None:
    network = freeze(random_network(TINY))
    assert fuse_tflite(network) == fuse_tflite(network)


def test_an_export_that_asks_for_tflite_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnnpan_export.assemble.missing_packages", lambda: ["larq_compute_engine"])
    with pytest.raises(BackendError, match="larq_compute_engine"):
        export_bundle(random_network(TINY), IDENTITY, ["tflite"])
