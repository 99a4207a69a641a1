"""Weights of other names, shapes, types or values than the network's are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from handmade_bundles import NETWORK, bundle_with, files_of_a_bundle, random_tensors, refusal
from safetensors.numpy import save

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    WEIGHTS_NAME,
)
from bnnpan_runtime.weights import weights_layout


def test_weights_of_a_wrong_shape_dtype_or_value_are_refused(tmp_path: Path) -> None:
    def with_weights(name: str, value: np.ndarray | None) -> str:
        tensors = random_tensors(weights_layout(NETWORK), 1)
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
        files = {**files_of_a_bundle(), WEIGHTS_NAME: save(tensors)}
        return refusal(bundle_with(tmp_path / "b", files), Bundle.weights)

    assert "head.bias is float32 (9,)" in with_weights("head.bias", np.zeros(9, np.float32))
    assert "head.bias is float64" in with_weights("head.bias", np.zeros(8))
    for value in (np.nan, np.inf, -np.inf):
        one_of_them = np.array([0, 0, 0, 0, 0, value, 0, 0], np.float32)
        assert "not finite" in with_weights("head.bias", one_of_them)
    assert "tail.bias is missing" in with_weights("tail.bias", None)
    assert "surprise is unknown" in with_weights("surprise", np.zeros(1, np.float32))
    assert "beyond channel 7" in with_weights("trunk.bits", np.full((2, 4, 8, 3, 3, 4), 255, np.uint8))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, b"\xff" * 64, struct.pack("<Q", 2**60) + b"{}", b"\x80\x04K\x01."]
)
def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = bundle_with(tmp_path / "b", {**files_of_a_bundle(), WEIGHTS_NAME: content})
    assert WEIGHTS_NAME in refusal(path, Bundle.weights)
