"""PNN and FusionNet against their papers, and what they share with the network they are compared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bnnpan.checkpoint import load_model
from bnnpan.config import parse_experiment
from bnnpan.model import BNNPan, ModelConfig, PanSharpener, make_network
from bnnpan.model.config import Architecture
from bnnpan.model.cost import Cost, cost_table, network_cost
from bnnpan_runtime.errors import ConfigError

PLAIN: tuple[Architecture, ...] = ("pnn", "fusionnet")
SHIPPED = Path(__file__).parents[2] / "models/bgrn-x4"
THIRD_STAGE_ONLY = {"stage_one": {"steps": 0}, "stage_two": {"steps": 0}}


def network(architecture: Architecture, bands: int = 4) -> PanSharpener:
    torch.manual_seed(0)
    return make_network(ModelConfig(architecture, bands)).eval()


def images(n: int = 2, bands: int = 4, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    pan = torch.rand(n, 1, side, side, generator=generator)
    return pan, torch.rand(n, bands, side, side, generator=generator)


def sharpened(model: PanSharpener, pan: torch.Tensor, lms: torch.Tensor) -> torch.Tensor:
    return model(pan, lms, model.predicted_prior(pan, lms))


@pytest.mark.parametrize(
    ("architecture", "bands", "published"),
    [
        ("pnn", 4, 80_420),  # summary in VisionVoyagerX/PNN, after Masi et al. (2016)
        ("pnn", 8, 104_360),  # DLPan-Toolbox; 104 K in Fig. 8 of Hou et al. (2025)
        ("fusionnet", 8, 78_632),  # DLPan-Toolbox; 78.6 K there
    ],
)
def test_parameters_are_as_many_as_published(architecture: Architecture, bands: int, published: int) -> None:
    assert sum(p.numel() for p in network(architecture, bands).parameters()) == published
    cost = network_cost(ModelConfig(architecture, bands))
    assert cost.fusion.full_parameters == cost.fusion.packed_parameters == published
    assert cost.prior == Cost()


def test_operations_are_counted_as_by_hand() -> None:
    pixels = 20 * 12
    pnn = 9 * 9 * 5 * 64 + 5 * 5 * 64 * 32 + 5 * 5 * 32 * 4
    fusionnet = 9 * 4 * 32 + 8 * 9 * 32 * 32 + 9 * 32 * 4
    for architecture, per_pixel in zip(PLAIN, (pnn, fusionnet), strict=True):
        fusion = network_cost(ModelConfig(architecture), 20, 12).fusion
        assert (fusion.real_operations, fusion.binary_operations) == (per_pixel * pixels, 0)


def test_one_table_shows_all_networks() -> None:
    table = cost_table({name: ModelConfig(name) for name in ("bnnpan", *PLAIN)})
    assert [line.split(" | ")[1] for line in table.splitlines()[2:]] == ["174.5", "80.4", "76.3"]


@pytest.mark.parametrize("architecture", PLAIN)
@pytest.mark.parametrize("bands", [1, 8])
def test_result_has_the_size_of_the_bands(architecture: Architecture, bands: int) -> None:
    pan, lms = images(bands=bands)
    assert sharpened(network(architecture, bands), pan, lms).shape == lms.shape


def test_pnn_inside_its_borders_is_three_convolutions_without_padding() -> None:
    pan, lms = images()
    model = network("pnn")
    first, second, third = (model.get_submodule(f"layers.{index}") for index in (0, 2, 4))
    x = torch.cat([lms, pan], 1)
    x = F.conv2d(x, first.weight, first.bias).clamp_min(0)
    x = F.conv2d(x, second.weight, second.bias).clamp_min(0)
    x = F.conv2d(x, third.weight, third.bias)
    assert x.shape[-1] == 32 - 2 * 8
    torch.testing.assert_close(sharpened(model, pan, lms)[..., 8:-8, 8:-8], x)


def test_fusionnet_injects_what_it_makes_of_pan_minus_lms() -> None:
    pan, lms = images()
    model = network("fusionnet")
    state = {name.removeprefix("layers."): value for name, value in model.state_dict().items()}

    def convolved(x: torch.Tensor, layer: str) -> torch.Tensor:
        return F.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], padding=1)

    x = convolved(pan.repeat(1, 4, 1, 1) - lms, "0").clamp_min(0)
    for block in range(2, 6):
        x = x + convolved(convolved(x, f"{block}.branch.0").clamp_min(0), f"{block}.branch.2")
    torch.testing.assert_close(sharpened(model, pan, lms), lms + convolved(x, "6"))


@pytest.mark.parametrize("architecture", PLAIN)
def test_every_parameter_learns_from_both_images(architecture: Architecture) -> None:
    pan, lms = (image.requires_grad_() for image in images())
    model = network(architecture)
    sharpened(model, pan, lms).square().mean().backward()
    for tensor in (*model.parameters(), pan, lms):
        assert tensor.grad is not None and tensor.grad.abs().max() > 0


@pytest.mark.parametrize("architecture", PLAIN)
def test_nothing_of_a_scene_is_calibrated(architecture: Architecture) -> None:
    pan, lms = images()
    model = network(architecture)
    affines = model.calibrate(pan[:1, ..., :16, :16], lms[:1, ..., :16, :16])
    assert affines.numel() == 0
    assert torch.equal(model.fuse(pan, lms, affines), sharpened(model, pan, lms))


@pytest.mark.parametrize("architecture", PLAIN)
def test_networks_to_compare_with_do_not_fly(architecture: Architecture) -> None:
    assert ModelConfig(architecture).grounded_by == (f"architecture = {architecture}",)


@pytest.mark.parametrize(
    ("model", "training", "named"),
    [
        ({"architecture": "panet"}, {}, "'panet' is not one of 'bnnpan', 'pnn', 'fusionnet'"),
        (
            {"architecture": "pnn", "channels": 16, "ldpc": False},
            {},
            "'pnn' has no setting channels, ldpc; leave",
        ),
        ({"architecture": "pnn"}, {}, r"'pnn' has no prior.* training\.stage_two\.steps to 0"),
        ({"architecture": "fusionnet"}, {"stage_one": {"steps": 0}}, "'fusionnet' has no prior"),
    ],
)
def test_settings_without_meaning_are_refused(
    model: dict[str, Any], training: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_experiment({"model": model, "training": training}, "experiment.toml")


@pytest.mark.parametrize("units", ["bit_depth", "scene"])
@pytest.mark.parametrize("architecture", PLAIN)
def test_units_are_free(architecture: Architecture, units: str) -> None:
    model = {"architecture": architecture, "bands": 2, "units": units}
    value = {"model": model, "data": {"bands": ["red", "nir"]}, "training": THIRD_STAGE_ONLY}
    experiment = parse_experiment(value, "experiment.toml")
    assert parse_experiment(json.loads(json.dumps(experiment.to_json())), "checkpoint") == experiment


def test_networks_from_before_there_were_several_are_ours() -> None:
    model, experiment, _ = load_model(SHIPPED)
    assert isinstance(model, BNNPan) and experiment.model.architecture == "bnnpan"
    value = experiment.to_json()
    del value["model"]["architecture"]
    assert parse_experiment(value, "old") == experiment
