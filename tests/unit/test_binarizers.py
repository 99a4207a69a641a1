"""Each binarizer against its formula: values, gradients, and what really enters the convolution."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from binarizer_formulas import FORMULAS, Point, gradient_along
from torch.utils._python_dispatch import TorchDispatchMode

from bnnpan.model.binarizers import make_unit
from bnnpan.model.binarizers.base import SubBandBatchNorm
from bnnpan.model.binarizers.irnet import IRNet
from bnnpan.model.binarizers.s2b import gabor_kernels
from bnnpan.model.config import Binarizer
from bnnpan.model.unit import SubBandUnit

BINARIZERS: tuple[Binarizer, ...] = get_args(Binarizer)
CHANNELS = 4


def unit_away_from_its_start(name: Binarizer, seed: int = 0) -> SubBandUnit:
    """No parameter at its neutral start, latent weights on both sides of 1, 60 % of the training done."""
    torch.manual_seed(seed)
    final_window = 0.25 if name == "bnnpan" else 1.0
    unit = make_unit(name, 4, CHANNELS, norm_lambda=4.0, final_window=final_window).double().eval()
    with torch.no_grad():
        for weight in unit.binary_weights():
            weight.mul_(5)
        for parameter in unit.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for key, value in unit.named_buffers():
            if key.endswith(("running_mean", "running_var", "window")) and name != "fabnet":
                value.add_(torch.rand_like(value))
    unit.set_progress(0.6)
    return unit


def tensors_of(unit: SubBandUnit) -> dict[str, np.ndarray]:
    named = [*unit.named_parameters(), *unit.named_buffers()]
    return {name: value.detach().numpy().copy() for name, value in named}


def features(seed: int = 1, n: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.6 * torch.randn(n, 4, CHANNELS, 5, 6, generator=generator, dtype=torch.float64)


def test_every_binarizer_has_a_formula():
    assert set(FORMULAS) == set(BINARIZERS)


@pytest.mark.parametrize("name", BINARIZERS)
def test_values_are_those_of_the_formula(name: Binarizer):
    unit, x = unit_away_from_its_start(name), features()
    expected = FORMULAS[name](x.numpy(), tensors_of(unit), Point())
    np.testing.assert_allclose(unit(x).detach().numpy(), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", BINARIZERS)
def test_gradients_are_those_of_the_formula(name: Binarizer):
    unit, x = unit_away_from_its_start(name), features().requires_grad_()
    rng = np.random.default_rng(2)
    weighting = rng.standard_normal(x.shape)
    (unit(x) * torch.from_numpy(weighting)).sum().backward()
    tensors = tensors_of(unit)
    for moved, tensor in [("x", x), *unit.named_parameters()]:
        direction = rng.standard_normal(tensor.shape)
        expected = gradient_along(name, x.detach().numpy(), tensors, weighting, moved, direction)
        assert tensor.grad is not None, moved
        found = float((tensor.grad.numpy() * direction).sum())
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5), moved


class Convolutions(TorchDispatchMode):
    """Remembers what every convolution was really given."""

    def __init__(self) -> None:
        super().__init__()
        self.operands: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.operands.append((args[0].clone(), args[1].clone()))
        return func(*args, **(kwargs or {}))


def is_binary(x: torch.Tensor) -> bool:
    return bool((x.abs() == 1).all()) and len(x.unique()) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", BINARIZERS)
def test_signs_and_nothing_else_enter_the_convolution(name: Binarizer, dtype: torch.dtype):
    unit, x = unit_away_from_its_start(name).to(dtype), features().to(dtype)
    with Convolutions() as seen:
        unit(x)
    binary = [weight.numel() for bits, weight in seen.operands if is_binary(bits) and is_binary(weight)]
    assert sorted(binary) == sorted(weight.numel() for weight in unit.binary_weights())
    rest = [weight for bits, weight in seen.operands if not (is_binary(bits) and is_binary(weight))]
    assert len(rest) == (
        name in ("full", "s2b")
    )  # the twin's only convolution; Gabor filters before the sign


@pytest.mark.parametrize("sub_bands", [1, 4])
@pytest.mark.parametrize("name", BINARIZERS)
def test_units_keep_shape_and_separate_sub_bands(name: Binarizer, sub_bands: int):
    if name == "fabnet":
        if sub_bands == 1:
            return  # has no meaning without sub-bands: refused by ModelConfig
        apart = [[0], [1, 2, 3]]
    else:
        apart = [[band] for band in range(sub_bands)]
    torch.manual_seed(0)
    unit = make_unit(name, sub_bands, 6, norm_lambda=4.0).eval()
    x = torch.randn(2, sub_bands, 6, 4, 8)
    y = unit(x)
    assert y.shape == x.shape
    for bands in apart:
        other = x.clone()
        other[:, bands] += 1.0
        changed = (unit(other) != y).any(dim=(0, 2, 3, 4)).nonzero().flatten().tolist()
        assert changed == bands


@pytest.mark.parametrize("name", BINARIZERS)
def test_the_same_seed_gives_the_same_unit_and_result(name: Binarizer):
    x = features()
    one, other = (unit_away_from_its_start(name, seed=5) for _ in range(2))
    assert torch.equal(one(x), other(x))
    assert not torch.equal(one(x), unit_away_from_its_start(name, seed=6)(x))


@pytest.mark.parametrize("name", BINARIZERS)
def test_progress_changes_no_value(name: Binarizer):
    unit, x = unit_away_from_its_start(name), features()
    before = unit(x)
    for share in (0.0, 0.5, 1.0):
        unit.set_progress(share)
        assert torch.equal(unit(x), before)


def slope_of_sign(unit: SubBandUnit, x: list[float]) -> np.ndarray:
    values = torch.tensor(x, requires_grad=True)
    unit.activation_signs(values).sum().backward()
    return values.grad.numpy()


def test_ede_goes_from_the_identity_to_nearly_the_sign():
    unit = IRNet(4, CHANNELS)
    x = [-1.0, -0.1, 0.0, 0.1, 1.0]
    np.testing.assert_allclose(slope_of_sign(unit, x), 1, atol=2e-6)  # fresh is the start of training
    unit.set_progress(0.0)
    np.testing.assert_allclose(slope_of_sign(unit, x), 1, atol=2e-6)
    unit.set_progress(0.5)
    np.testing.assert_allclose(slope_of_sign(unit, x), 1 - np.tanh(0.1 * np.array(x)) ** 2, rtol=1e-5)
    unit.set_progress(1.0)
    np.testing.assert_allclose(slope_of_sign(unit, x), 10 * (1 - np.tanh(10 * np.array(x)) ** 2), atol=1e-6)
    assert slope_of_sign(unit, x)[2] == 10


def test_fabnet_sharpens_the_low_branch_later():
    unit = make_unit("fabnet", 4, CHANNELS, norm_lambda=4.0)
    windows = {}
    for share in (0.0, 0.05, 0.051, 0.2, 0.201, 1.0):
        unit.set_progress(share)
        windows[share] = unit.window.tolist()
    early, middle, late = [2.0, 1.0], [1.0, 1.0], [0.5, 0.5]
    assert list(windows.values()) == [early, early, middle, middle, late, late]


def test_gabor_kernels_are_waves_under_a_gaussian():
    frequency, angle = np.array([0.1, 0.25, 0.4]), np.array([0.0, 1.0, math.pi / 2])
    kernels = gabor_kernels(torch.from_numpy(frequency), torch.from_numpy(angle)).numpy()
    for kernel, f, theta in zip(kernels, frequency, angle, strict=True):
        expected = np.empty((3, 3))
        for y in (-1, 0, 1):
            for x in (-1, 0, 1):
                along = x * math.cos(theta) + y * math.sin(theta)
                across = y * math.cos(theta) - x * math.sin(theta)
                envelope = math.exp(-(along**2 + 0.25 * across**2) / 2)
                expected[y + 1, x + 1] = envelope * math.cos(2 * math.pi * f * along)
        np.testing.assert_allclose(kernel, expected / np.abs(expected).sum(), atol=1e-7)


def test_batch_norm_treats_every_channel_of_every_sub_band_alone():
    x = features(n=3) * torch.arange(1.0, 5.0)[None, :, None, None, None] + 2
    y = SubBandBatchNorm(4, CHANNELS).double()(x)
    torch.testing.assert_close(y.mean((0, 3, 4)), torch.zeros(4, CHANNELS, dtype=torch.float64))
    torch.testing.assert_close(
        y.var((0, 3, 4), correction=0), torch.ones(4, CHANNELS, dtype=torch.float64), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("name", ["bnnpan", "irnet", "fabnet", "s2b"])
def test_compiles_as_one_graph_and_once_for_the_whole_schedule(name: Binarizer):
    torch.manual_seed(0)
    unit = make_unit(name, 4, CHANNELS, norm_lambda=4.0).train()
    x = features().float().requires_grad_()
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = torch.compile(unit, fullgraph=True, backend="eager")
        for share in (0.0, 0.5, 1.0):
            unit.set_progress(share)
            compiled(x).sum().backward()
