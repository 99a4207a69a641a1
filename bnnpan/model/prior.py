"""The latent diffusion prior: encoders, denoiser and deterministic reverse chain (Fig. 3, Eq. 11-14)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

LEAK = 0.1
FIRST_BETA, LAST_BETA = 0.1, 0.99
"""Ends of the noise schedule, evenly spaced in sqrt(beta), as in DiffIR (Xia et al., ICCV 2023)."""


class LatentEncoder(nn.Module):
    """LE: convolution, average pooling and two linear layers; `(n, inputs, h, w)` to `(n, latent)`."""

    def __init__(self, inputs: int, latent: int, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.conv = nn.Conv2d(inputs, latent, 3, padding=1)
        self.hidden = nn.Linear(latent, latent)
        self.out = nn.Linear(latent, latent)

    def forward(self, image: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """One latent per image, or with `pooled` a single one `(1, latent)` for the whole batch."""
        features = self.conv(image)
        if self.rectified:
            features = F.leaky_relu(features, LEAK)
        means = features.mean((0, 2, 3) if pooled else (2, 3)).reshape(-1, features.shape[1])
        return self.out(F.leaky_relu(self.hidden(F.leaky_relu(means, LEAK)), LEAK))


class Denoiser(nn.Module):
    """eps_theta: two linear layers on `Cat(z_t, t / (10 T), c)`; all `(n, latent)`."""

    def __init__(self, latent: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.hidden = nn.Linear(2 * latent + 1, latent)
        self.out = nn.Linear(latent, latent)

    def forward(self, noisy: torch.Tensor, step: int, condition: torch.Tensor) -> torch.Tensor:
        """Estimate for step `step`, counted 1 .. steps."""
        time = torch.full_like(noisy[:, :1], step / (10 * self.steps))
        return self.out(F.leaky_relu(self.hidden(torch.cat([noisy, time, condition], dim=1)), LEAK))


class ReverseDiffusion(nn.Module):
    """The whole chain z_T -> z^ without added noise.

    Each step is `z_{t-1} = latent_gain[t] * z_t + estimate_gain[t] * denoiser(z_t, t, c)`: both readings of
    the denoiser (noise, Eq. 14, or clean latent) only change the two constants.
    """

    latent_gain: torch.Tensor
    estimate_gain: torch.Tensor
    kept: torch.Tensor
    """abar_t, the share of variance the clean latent keeps up to step t; all three `(steps,)`."""

    def __init__(self, latent: int, steps: int, predicts: str) -> None:
        super().__init__()
        self.denoiser = Denoiser(latent, steps)
        betas = torch.linspace(FIRST_BETA**0.5, LAST_BETA**0.5, steps, dtype=torch.float64) ** 2
        alphas = 1 - betas
        kept = torch.cumprod(alphas, 0)
        if predicts == "noise":
            latent_gain = alphas.rsqrt()
            estimate_gain = -betas * (alphas * (1 - kept)).rsqrt()
        else:
            before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
            latent_gain = alphas.sqrt() * (1 - before) / (1 - kept)
            estimate_gain = before.sqrt() * betas / (1 - kept)
        self.steps = steps
        self.register_buffer("latent_gain", latent_gain.float())
        self.register_buffer("estimate_gain", estimate_gain.float())
        self.register_buffer("kept", kept.float())

    def diffuse(self, latent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """z_T of a clean latent in one step, Eq. 12; shapes `(n, latent)`."""
        kept = self.kept[-1]
        return kept.sqrt() * latent + (1 - kept).sqrt() * noise

    def forward(self, start: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """z^ from z_T and the condition vector; shapes `(n, latent)`."""
        latent = start
        for step in range(self.steps, 0, -1):
            estimate = self.denoiser(latent, step, condition)
            latent = self.latent_gain[step - 1] * latent + self.estimate_gain[step - 1] * estimate
        return latent
