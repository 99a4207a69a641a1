"""The backbone with each binarizer in it, and with its own parts switched off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from bnnpan.checkpoint import load_model
from bnnpan.config import parse_experiment
from bnnpan.model import BNNPan, ModelConfig
from bnnpan.model.config import Binarizer
from bnnpan.model.nbc import FullPrecisionNBC, SubBandNBC
from bnnpan.model.pibf import PIBF, STD_EPSILON
from bnnpan.model.unit import rprelu
from bnnpan.model.wavelet import haar, inverse_haar
from bnnpan_runtime.errors import ConfigError

BINARIZERS: tuple[Binarizer, ...] = get_args(Binarizer)
SHIPPED = Path(__file__).parents[2] / "models" / "bgrn-x4"
SMALL = ModelConfig(channels=8, blocks=2, latent=8)
PARTS = ("wavelet", "norm", "ldpc", "cdc")


def images(n: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    pan, lms, truth = (torch.rand(n, bands, 16, 16, generator=generator) for bands in (1, 4, 4))
    return pan, lms, truth


def network(config: ModelConfig) -> BNNPan:
    """With a tail that is not zero and units away from their neutral start."""
    torch.manual_seed(0)
    model = BNNPan(config)
    with torch.no_grad():
        for parameter in (*model.blocks.parameters(), *model.tail.parameters()):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", BINARIZERS)
def test_every_binarizer_learns_in_the_backbone(name: Binarizer):
    model = network(replace(SMALL, binarizer=name)).train()
    model.set_progress(0.3)
    pan, lms, truth = images()
    result = model(pan, lms, model.true_prior(truth))
    assert result.shape == lms.shape
    (result - truth).abs().mean().backward()
    for key, parameter in model.blocks.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), key


@pytest.mark.parametrize("name", BINARIZERS)
def test_a_stored_network_is_the_network(name: Binarizer):
    model = network(replace(SMALL, binarizer=name)).train()
    pan, lms, truth = images()
    model(pan, lms, model.true_prior(truth))  # moves running statistics
    other = BNNPan(model.config)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(*(m.eval()(pan, lms, m.true_prior(truth)) for m in (model, other)))


def test_shipped_weights_load_into_the_default():
    model, experiment, _ = load_model(SHIPPED)
    assert not experiment.model.grounded_by and type(model.blocks[0].nbc) is SubBandNBC


def test_default_network_has_the_tensors_it_always_had():
    names = {name.removeprefix("blocks.0.") for name in BNNPan(SMALL).state_dict() if "blocks.0." in name}
    unit = "weight shift gamma beta zeta lambda_ phi eta window".split()
    linear = {f"{layer}.{kind}" for layer in ("ldpc", "cdc") for kind in ("weight", "bias")}
    assert names == {f"nbc.{name}" for name in unit} | linear


def test_twin_and_binary_network_can_start_from_each_other():
    twin = network(replace(SMALL, binarizer="full"))
    assert type(twin.blocks[0].nbc) is FullPrecisionNBC
    binary = BNNPan(SMALL)
    binary.load_state_dict(twin.state_dict())
    assert torch.equal(binary.blocks[1].nbc.weight, twin.blocks[1].nbc.weight)


def test_final_window_narrows_the_gradient_and_nothing_else():
    pan, lms, truth = images()
    gradients = []
    for final_window, share in [(1.0, 1.0), (0.25, 0.0), (0.25, 1.0)]:
        model = network(replace(SMALL, final_window=final_window)).eval()
        model.set_progress(share)
        result = model(pan, lms, model.true_prior(truth))
        result.sum().backward()
        gradients.append((result.detach(), model.head.weight.grad.clone()))
    (value, plain), (_, early), (late_value, late) = gradients
    assert torch.equal(value, late_value)
    assert torch.equal(plain, early) and not torch.allclose(plain, late)


def block(**switches: Any) -> PIBF:
    torch.manual_seed(3)
    made = PIBF(6, 5, False, 4.0, **switches).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def block_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2, 6, 8, 8, generator=generator, dtype=torch.float64)
    return x, torch.randn(2, 5, generator=generator, dtype=torch.float64)


def calibration(made: PIBF, y: torch.Tensor) -> torch.Tensor:
    """W_c of Eq. 17."""
    std = (y.var((2, 3), correction=0) + STD_EPSILON).sqrt()
    return torch.sigmoid(made.cdc(torch.cat([y.abs().mean((2, 3)), y.mean((2, 3)), std], 1)))[..., None, None]


def test_without_wavelet_one_unit_works_at_full_size():
    made, (x, prior) = block(wavelet=False), block_inputs()
    assert made.nbc.weight.shape == (1, 6, 6, 3, 3)
    y = made.nbc(x[:, None])[:, 0]
    torch.testing.assert_close(made.bwtc(x), y)
    assert made(x, prior).shape == x.shape


def test_without_norm_rprelu_is_added_as_it_is():
    made, (x, _) = block(norm=False), block_inputs()
    assert not {"lambda_", "phi", "eta"} & {name for name, _ in made.nbc.named_parameters()}
    z = haar(x)
    branch = rprelu(made.nbc.binary_convolution(z), made.nbc.gamma, made.nbc.beta, made.nbc.zeta)
    torch.testing.assert_close(made.bwtc(x), inverse_haar(z + branch))


def test_without_ldpc_calibration_sees_the_convolution_itself():
    made, (x, prior) = block(ldpc=False), block_inputs()
    y = made.bwtc(x)
    torch.testing.assert_close(made(x, prior), calibration(made, y) * y + y)


def test_without_cdc_the_compensated_features_are_added_in_full():
    made, (x, prior) = block(cdc=False), block_inputs()
    y = made.bwtc(x)
    z_w, z_b = made.ldpc(prior)[..., None, None].chunk(2, 1)
    torch.testing.assert_close(made(x, prior), y * z_w + z_b + y)


def test_without_both_a_block_is_its_convolution():
    made, (x, prior) = block(ldpc=False, cdc=False), block_inputs()
    torch.testing.assert_close(made(x, prior), made.bwtc(x))


@pytest.mark.parametrize("off", [*((part,) for part in PARTS), ("ldpc", "cdc"), PARTS])
def test_calibrated_one_patch_scene_equals_live_statistics(off: tuple[str, ...]):
    model = network(replace(SMALL, **dict.fromkeys(off, False))).double().eval()
    assert model.config.grounded_by == tuple(f"{part} = False" for part in off)
    pan, lms, _ = (image.double() for image in images(n=1))
    live = model(pan, lms, model.predicted_prior(pan, lms))
    torch.testing.assert_close(model.fuse(pan, lms, model.calibrate(pan, lms)), live)


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"binarizer": "bbcu", "norm": False}, "norm"),
        ({"binarizer": "fabnet", "wavelet": False}, "wavelet"),
        ({"binarizer": "irnet", "final_window": 0.5}, "final_window"),
        ({"binarizer": "xnor-net"}, "'xnor-net' is not one of 'bnnpan'"),
    ],
)
def test_meaningless_combinations_are_refused(keys: dict[str, Any], named: str):
    with pytest.raises(ConfigError, match=named):
        parse_experiment({"model": keys}, "experiment.toml")


@pytest.mark.parametrize("name", BINARIZERS)
def test_only_the_default_binarizer_flies(name: Binarizer):
    expected = () if name == "bnnpan" else (f"binarizer = {name}",)
    assert replace(SMALL, binarizer=name).grounded_by == expected
