from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bnnpan.data.lms import interp23tap
from bnnpan_export.assemble import export_bundle
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.freeze import freeze
from bnnpan_export.graph.network import Network
from bnnpan_export.parity import Distance, check_parity, measure_parity
from bnnpan_export.scenes import RawScene, Scene, real_scenes, synthetic_scene
from bnnpan_export.untrained import random_network
from bnnpan_runtime.contract import Parity, Units
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.scene_units import SceneUnits

from .conftest import CALIBRATION, SMALL, SMALL_IDENTITY

DN_SCALE = 2047.0


def corrupted(network: FrozenNetwork, name: str) -> FrozenNetwork:
    """One tensor with its first entry changed: one weight sign flipped, or half of full scale added."""
    tensor = network[name].copy()
    tensor.flat[0] = tensor.flat[0] ^ 1 if tensor.dtype == np.uint8 else tensor.flat[0] + 0.5
    return FrozenNetwork(network.shape, {**network.tensors, name: tensor})


@pytest.mark.parametrize("units", ["bit_depth", "scene"])
@pytest.mark.parametrize("name", ["trunk.bits", "trunk.gamma", "head.weight", "tail.bias"])
def test_one_wrong_weight_is_found(name: str, units: Units) -> None:
    model = random_network(replace(SMALL, units=units))
    network = freeze(model)
    scene = synthetic_scene(4, 4, 11).scene("synthetic", "centred", units, DN_SCALE)
    right = measure_parity(model, network, [], [scene], CALIBRATION, DN_SCALE)
    check_parity(right, DN_SCALE)
    wrong = measure_parity(model, corrupted(network, name), [], [scene], CALIBRATION, DN_SCALE)
    with pytest.raises(VerificationError, match=r"weights\.safetensors"):
        check_parity(wrong, DN_SCALE)


def test_export_of_a_network_that_does_not_freeze_faithfully_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bnnpan_export.assemble.freeze", lambda model: corrupted(freeze(model), "trunk.scale")
    )
    with pytest.raises(VerificationError, match="nothing was written"):
        export_bundle(random_network(SMALL), SMALL_IDENTITY, ["bits"])


@pytest.mark.parametrize(
    ("distance", "figure"),
    [
        (Distance(Parity(3, 0.26, 0), 0), "RMS"),
        (Distance(Parity(3, 0.01, 0.011), 0), "share"),
        (Distance(Parity(1, 0.01, 0), 0.0021), "median"),
        (Distance(Parity(math.nan, math.nan, 0), math.nan), "median"),
    ],
)
def test_bounds_are_on_the_median_the_share_of_pixels_and_the_rms(distance: Distance, figure: str) -> None:
    with pytest.raises(VerificationError, match=f"onnx.*{figure}"):
        check_parity({"onnx": distance}, DN_SCALE)


@pytest.mark.parametrize("line", [np.s_[:, -1, :], np.s_[:, :, 0]], ids=["last row", "first column"])
def test_an_error_of_a_single_line_is_found(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Network.run

    def wrong(*inputs: Any) -> torch.Tensor:
        product = right(*inputs)
        product[0][line] += 0.5 / DN_SCALE
        return product

    model = random_network(SMALL)
    scene = synthetic_scene(4, 4, 11).scene("synthetic", "centred", "bit_depth", DN_SCALE)
    monkeypatch.setattr(Network, "run", wrong)
    distances = measure_parity(model, freeze(model), [], [scene], CALIBRATION, DN_SCALE)
    with pytest.raises(VerificationError, match="row or column"):
        check_parity(distances, DN_SCALE)


def test_rare_flips_of_a_sign_are_allowed() -> None:
    check_parity({"onnx": Distance(Parity(40, 0.24, 0.009), 0.001)}, DN_SCALE)


def test_bounds_in_dn_follow_the_bit_depth() -> None:
    distance = Distance(Parity(3, 0.05, 0), 0)
    check_parity({"onnx": distance}, DN_SCALE)
    with pytest.raises(VerificationError):
        check_parity({"onnx": distance}, 255.0)


def test_differences_are_counted_in_dn_of_the_bundle() -> None:
    model = random_network(SMALL)
    network = freeze(model)
    scene = synthetic_scene(4, 4, 11).scene("synthetic", "centred", "bit_depth", DN_SCALE)
    with torch.no_grad():
        model.tail.bias += 2 / DN_SCALE
    distance = measure_parity(model, network, [], [scene], CALIBRATION, DN_SCALE)["weights.safetensors"]
    assert distance.parity.rms_dn == pytest.approx(2, abs=0.01)
    assert distance.typical_dn == pytest.approx(2, abs=0.01)
    assert distance.parity.share_over_1dn == 1


def test_real_scenes_come_from_the_validation_pairs(shared_data: Path) -> None:
    roles = ("blue", "green", "red", "nir")
    depth, own = (
        real_scenes(shared_data / "manifest.json", roles, 4, "centred", units)
        for units in ("bit_depth", "scene")
    )
    assert {scene.name for scene in own} < {scene.name for scene in depth} and len(own) >= 4
    for scene in depth + own:
        assert scene.pan.shape == (1, 128, 128)
        assert scene.lms.shape == (4, 128, 128)
        assert scene.pan.dtype == scene.lms.dtype == np.float32
    assert all(0 < scene.pan.mean() < 1 for scene in depth)
    # In units of their whole pairs, of which they are parts.
    assert all(abs(scene.pan.mean()) < 2 and 0.2 < scene.lms.std() < 3 for scene in own)


def test_scenes_of_any_bit_depth_count_in_the_bundles_dn() -> None:
    model = random_network(SMALL)
    network = freeze(model)
    wrong = corrupted(network, "tail.bias")
    distances = []
    for bits in (8, 11, 14):
        raw = synthetic_scene(4, 4, 11)
        own = 2.0**bits - 1
        scaled = Scene.of_dn(
            "scaled",
            raw.pan[None] * (own / DN_SCALE),
            _lms(raw) * (own / DN_SCALE),
            SceneUnits.of_bit_depth(own, len(raw.ms)),
            own,
        )
        distances.append(
            measure_parity(model, wrong, [], [scaled], CALIBRATION, DN_SCALE)["weights.safetensors"]
        )
    typical = [distance.typical_dn for distance in distances]
    assert typical == pytest.approx([typical[0]] * 3, rel=0.02)


def _lms(raw: RawScene) -> NDArray[np.float64]:
    return interp23tap(raw.ms, 4, "centred", "edge")
