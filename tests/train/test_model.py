"""The network against independent statements of the paper's equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pywt
import torch

from bnnpan.model import BNNPan, ModelConfig
from bnnpan.model.binarize import SignActivation, SignWeight, signs
from bnnpan.model.nbc import NORM_EPSILON, SubBandNBC
from bnnpan.model.pibf import PIBF, STD_EPSILON
from bnnpan.model.prior import LatentEncoder, ReverseDiffusion
from bnnpan.model.wavelet import haar, inverse_haar


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter away from its neutral start, so that no term of a formula can hide."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
            parameter.add_(0.1 * noise)
    return module


@pytest.fixture
def small() -> BNNPan:
    torch.manual_seed(1)
    model = BNNPan(ModelConfig(bands=3, channels=6, blocks=2, latent=5))
    return randomised(model).double().eval()


def images(n: int = 2, bands: int = 3, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    pan = torch.rand(n, 1, side, side, generator=generator, dtype=torch.float64)
    return pan, torch.rand(n, bands, side, side, generator=generator, dtype=torch.float64)


def test_haar_equals_pywavelets():
    x = np.random.default_rng(0).standard_normal((1, 2, 8, 12))
    ours = haar(torch.from_numpy(x))[0].numpy()
    for channel in range(2):
        ll, (lh, hl, hh) = pywt.dwt2(x[0, channel], "db1")
        np.testing.assert_allclose(ours[:, channel], [ll, lh, hl, hh], atol=1e-12)


def test_inverse_haar_restores_the_plane():
    x = torch.randn(2, 3, 6, 10, dtype=torch.float64)
    torch.testing.assert_close(inverse_haar(haar(x)), x)


def test_offset_of_a_plane_is_twice_that_in_ll_alone():
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    difference = haar(x + 3.0) - haar(x)
    torch.testing.assert_close(difference[:, 0], torch.full_like(difference[:, 0], 6.0))
    torch.testing.assert_close(difference[:, 1:], torch.zeros_like(difference[:, 1:]))


def test_sign_of_zero_is_plus_one():
    assert signs(torch.tensor([-2.0, -0.0, 0.0, 1e-30])).tolist() == [-1, 1, 1, 1]


def test_activation_gradient_is_the_stretched_triangle():
    x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0], requires_grad=True)
    SignActivation.apply(x, torch.tensor(2.0)).sum().backward()
    # (2 - 2|x|/w) / w for w = 2, zero outside
    torch.testing.assert_close(x.grad, torch.tensor([0.0, 0.5, 1.0, 0.75, 0.0]))


def test_weight_gradient_passes_inside_one_only():
    w = torch.tensor([-1.5, -1.0, 0.2, 1.0, 1.1], requires_grad=True)
    SignWeight.apply(w).sum().backward()
    assert w.grad.tolist() == [0, 1, 1, 1, 0]


def nbc_by_hand(x: np.ndarray, nbc: SubBandNBC, band: int) -> np.ndarray:
    """One unit on `(channels, h, w)`, term by term (Eq. 3 to 6)."""
    p = {name: value.detach().numpy()[band] for name, value in nbc.named_parameters()}
    channels, h, w = x.shape
    bits = np.where(x + p["shift"][:, None, None] >= 0, 1.0, -1.0)
    weight = np.where(p["weight"] >= 0, 1.0, -1.0)
    padded = np.pad(bits, ((0, 0), (1, 1), (1, 1)))
    sums = np.zeros_like(x)
    for ky in range(3):
        for kx in range(3):
            sums += np.einsum("oi,ihw->ohw", weight[:, :, ky, kx], padded[:, ky : ky + h, kx : kx + w])
    scale = np.abs(p["weight"]).mean((1, 2, 3))
    out = np.empty_like(x)
    moved = np.empty_like(x)
    for c in range(channels):
        t = sums[c] * scale[c] - p["gamma"][c]
        moved[c] = np.where(t > 0, t, p["beta"][c] * t) + p["zeta"][c]
    gain = np.sqrt((x.var(0) + NORM_EPSILON) / (moved.var(0) + NORM_EPSILON))
    for c in range(channels):
        branch = gain * (moved[c] - moved.mean(0) - p["phi"][c]) / p["lambda_"][c]
        out[c] = branch + x.mean(0) + p["eta"][c] + x[c]
    return out


def test_nbc_equals_the_equations():
    nbc = randomised(SubBandNBC(6, norm_lambda=4.0)).double().eval()
    x = torch.randn(1, 4, 6, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ours = nbc(x)[0].detach().numpy()
    for band in range(4):
        np.testing.assert_allclose(ours[band], nbc_by_hand(x[0, band].numpy(), nbc, band), atol=1e-12)


@pytest.mark.parametrize("channels", [16, 27, 29, 32, 56, 57])
def test_sums_of_signs_are_exact_up_to_the_largest(channels: int):
    nbc = SubBandNBC(channels, norm_lambda=4.0).eval()
    with torch.no_grad():
        nbc.weight[:, 0] = 0.01  # the sum of 9C equal signs
    x = torch.randn(1, 4, channels, 6, 6)
    x[..., :3] = 1.0
    single = nbc.binary_convolution(x)
    sums = single / nbc.filter_scale()[None, :, :, None, None]
    assert round(float(sums.detach().max())) == 9 * channels
    torch.testing.assert_close(single, nbc.double().binary_convolution(x.double()).float())


@pytest.mark.parametrize("outer_skip", [False, True])
def test_ldpc_and_cdc_are_one_affine(outer_skip: bool):
    block = randomised(PIBF(6, 5, outer_skip, 4.0)).double().eval()
    x = torch.randn(2, 6, 8, 8, dtype=torch.float64)
    prior = torch.randn(2, 5, dtype=torch.float64)
    y = inverse_haar(block.nbc(haar(x))) + (x if outer_skip else 0)
    z_w, z_b = block.ldpc(prior).chunk(2, 1)
    shifted = y * z_w[..., None, None] + z_b[..., None, None]
    std = (shifted.var((2, 3), correction=0) + STD_EPSILON).sqrt()
    weight = torch.sigmoid(block.cdc(torch.cat([shifted.abs().mean((2, 3)), shifted.mean((2, 3)), std], 1)))
    torch.testing.assert_close(block(x, prior), weight[..., None, None] * shifted + y)


def test_untrained_network_returns_the_interpolated_ms():
    model = BNNPan(ModelConfig(channels=8, blocks=2, latent=8)).eval()
    pan, lms = torch.rand(1, 1, 16, 16), torch.rand(1, 4, 16, 16)
    assert torch.equal(model(pan, lms, model.predicted_prior(pan, lms)), lms)


def test_one_patch_scene_calibrated_equals_live_statistics(small: BNNPan):
    pan, lms = images(n=1)
    live = small(pan, lms, small.predicted_prior(pan, lms))
    torch.testing.assert_close(small.fuse(pan, lms, small.calibrate(pan, lms)), live)


def test_calibration_does_not_depend_on_patch_order(small: BNNPan):
    pan, lms = images(n=4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(small.calibrate(pan, lms), small.calibrate(pan[order], lms[order]))


def test_linear_encoder_sees_band_means_only_and_the_rectified_one_more():
    flat = torch.full((1, 2, 64, 64), 0.5)
    busy = flat + 0.4 * torch.randn(1, 2, 64, 64).sign()
    busy += 0.5 - busy.mean((2, 3), keepdim=True)
    torch.manual_seed(0)
    linear, rectified = LatentEncoder(2, 8, False), LatentEncoder(2, 8, True)
    change = [float((e(flat) - e(busy)).detach().abs().max()) for e in (linear, rectified)]
    assert change[0] < 5e-3 < change[1]


@pytest.mark.parametrize("predicts", ["noise", "latent"])
def test_reverse_chain_with_a_perfect_denoiser_returns_the_latent(predicts: str):
    chain = ReverseDiffusion(4, 4, predicts).double()
    # The stored constants are float32; recompute the schedule in double.
    betas = np.linspace(math.sqrt(0.1), math.sqrt(0.99), 4) ** 2
    kept = np.cumprod(1 - betas)
    clean, noise = torch.randn(1, 4, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)

    class Perfect(torch.nn.Module):
        def forward(self, noisy: torch.Tensor, step: int, condition: torch.Tensor) -> torch.Tensor:
            if predicts == "latent":
                return clean
            return (noisy - math.sqrt(kept[step - 1]) * clean) / math.sqrt(1 - kept[step - 1])

    chain.denoiser = Perfect()
    start = chain.diffuse(clean, noise)
    torch.testing.assert_close(chain(start, clean), clean, atol=1e-5, rtol=1e-5)
