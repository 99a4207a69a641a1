"""Every pass by itself: the network computes the same before and after it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from bnnpan.model import ModelConfig, make_network
from bnnpan.model.config import Binarizer
from bnnpan_export.emit import emit, read_back
from bnnpan_export.explain import explain, table
from bnnpan_export.freeze import freeze
from bnnpan_export.graph.layers import Haar, InverseHaar, SceneState, SubBandAffine
from bnnpan_export.graph.network import Network, Taps, tap_names
from bnnpan_export.graph.unit import AddThenSign, Compare
from bnnpan_export.passes import PASSES, lowered, stages
from bnnpan_export.passes.capture import capture
from bnnpan_export.scenes import synthetic_scene
from bnnpan_export.untrained import random_network
from bnnpan_runtime.errors import ConfigError

from .conftest import SMALL, images

Tile = tuple[torch.Tensor, torch.Tensor]


def tiles(config: ModelConfig, dtype: torch.dtype) -> list[Tile]:
    """Noise, and a tile that looks like a scene."""
    scene = synthetic_scene(config.bands, config.ratio, 11, side=64).scene(
        "s", "centred", config.units, 2047.0
    )
    pairs = [images(config.bands, 36, 52), (scene.pan[None], scene.lms[None])]
    return [(torch.from_numpy(pan).to(dtype), torch.from_numpy(lms).to(dtype)) for pan, lms in pairs]


def look_into(network: Network, tile: Tile, state: SceneState) -> Taps:
    taps: Taps = {}
    taps["output"] = network.run(*tile, state, taps)
    return taps


def test_capture_is_the_network_with_live_statistics(config: ModelConfig) -> None:
    model = random_network(config).double()
    for pan, lms in tiles(config, torch.float64):
        prior = model.predicted_prior(pan, lms)
        taps = look_into(capture(model), (pan, lms), SceneState(prior=prior))
        assert (taps["output"] - model(pan, lms, prior)).abs().max() < 1e-12
        assert list(taps) == [*tap_names(config.blocks), "output"]


@pytest.mark.parametrize("index", range(len(PASSES)), ids=[step.name for step in PASSES])
def test_a_pass_changes_no_tap(index: int, config: ModelConfig) -> None:
    step = PASSES[index]
    dtype = torch.float32 if step.exact else torch.float64
    model = random_network(config).to(dtype)
    before = list(stages(model))[index][1]
    after = step.run(before)
    for tile in tiles(config, dtype):
        state = SceneState(model.predicted_prior(*tile), model.calibrate(*tile))
        found, expected = look_into(after, tile, state), look_into(before, tile, state)
        assert list(found) == list(expected)
        for name, value in found.items():
            if step.exact:
                assert torch.equal(value, expected[name]), name
            else:
                assert (value - expected[name]).abs().max() < 1e-11, name


def test_between_the_blocks_no_transform_is_left(config: ModelConfig) -> None:
    kinds = [type(layer) for layer in lowered(random_network(config)).layers]
    assert kinds.count(Haar) == kinds.count(InverseHaar) == 1
    assert kinds.count(SubBandAffine) == config.blocks
    assert kinds.index(Haar) == 1 and kinds.index(InverseHaar) == len(kinds) - 2


def test_comparing_is_adding_and_taking_the_sign_next_to_any_threshold() -> None:
    random = np.random.default_rng(0)
    tiny = np.float32(1e-45)
    shift = np.concatenate([random.normal(0, 1, 60), [0.0, -0.0, tiny, 1e-38]]).astype(np.float32)
    near = [-shift]
    for _ in range(3):
        near = [np.nextafter(near[0], np.float32(-9)), *near, np.nextafter(near[-1], np.float32(9))]
    x = torch.from_numpy(np.stack([*near, near[0] * 2, near[-1] / 3]))[:, None, :, None, None]
    added, compared = AddThenSign(shift[None]), Compare(-shift[None])
    assert torch.equal(added(x), compared(x))
    assert (compared(torch.from_numpy(-shift)[None, None, :, None, None]) == 1).all()


def test_what_is_emitted_reads_back_as_the_network(config: ModelConfig) -> None:
    model = random_network(config)
    network = lowered(model)
    (tile, _) = tiles(config, torch.float32)
    state = SceneState(affines=model.calibrate(*tile))
    expected, found = (look_into(n, tile, state) for n in (network, read_back(emit(network))))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    again = emit(read_back(emit(network)))
    assert all(np.array_equal(again[name], value) for name, value in emit(network).tensors.items())


def test_costs_follow_from_the_sizes() -> None:
    config = ModelConfig(channels=40, blocks=3, bands=5)
    steps = {step.name: step for step in explain(random_network(config))}
    assert list(steps) == ["capture", *(step.name for step in PASSES)]
    first, last = steps["capture"].after, steps["pack bits"].after
    ends, trunk = 9 * 40 * (6 + 5), 9 * 40 * 40 * 3
    assert (first.float_macs, first.binary_macs) == (ends + trunk, 0)
    assert (last.float_macs, last.binary_macs) == (ends, trunk)
    assert last.sign_bits == 3 * 4 * 40 * 9 * 64  # 40 inputs in two words
    stored = sum(value.nbytes for value in freeze(random_network(config)).tensors.values())
    assert last.size_bytes == stored
    assert steps["wavelet-domain rewrite"].after.other < steps["wavelet-domain rewrite"].before.other
    text = table(list(steps.values()), {})
    assert all(name in text for name in steps) and "binary MACs per PAN pixel" in text


@pytest.mark.parametrize("name", [b for b in get_args(Binarizer) if b != "bnnpan"])
def test_a_binarizer_without_a_frozen_form_is_refused_with_the_reason(name: Binarizer) -> None:
    with pytest.raises(ConfigError, match=f"binarizer = {name} cannot be exported: [^;]{{20,}};") as caught:
        freeze(make_network(replace(SMALL, binarizer=name)))
    assert "no engine runs it" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["wavelet", "norm", "ldpc", "cdc"])
def test_a_network_without_one_of_its_parts_is_refused_with_the_reason(part: str) -> None:
    with pytest.raises(ConfigError, match=f"{part} = False cannot be exported: .*engine"):
        freeze(make_network(replace(SMALL, **{part: False})))
