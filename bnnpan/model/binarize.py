"""Sign functions with surrogate gradients; sign(0) = +1 on every side of the project."""

from __future__ import annotations

from typing import Any

import torch


def signs(x: torch.Tensor) -> torch.Tensor:
    """Map to -1 and +1, zero to +1; same shape and dtype."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class SignActivation(torch.autograd.Function):
    """Sign whose gradient is the triangle of Bi-Real Net (Liu et al., ECCV 2018), stretched to `window`.

    The window changes the gradient only. It follows the size of each channel, so that channels far from
    unit scale still learn.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, window: torch.Tensor) -> torch.Tensor:  # noqa: D102
        ctx.save_for_backward(x, window)
        return signs(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: D102
        x, window = ctx.saved_tensors
        return gradient * (2 - 2 * x.abs() / window).clamp_min(0) / window, None


class SignWeight(torch.autograd.Function):
    """Sign of a latent weight; the gradient passes where the weight lies within -1 and +1."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor) -> torch.Tensor:  # noqa: D102
        ctx.save_for_backward(weight)
        return signs(weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: D102
        (weight,) = ctx.saved_tensors
        return gradient * (weight.abs() <= 1)


def clipped_sign(x: torch.Tensor) -> torch.Tensor:
    """Sign with the gradient of BNN (Hubara et al., NeurIPS 2016): 1 within -1 and +1, else 0."""
    signed: torch.Tensor = SignWeight.apply(x)
    return signed


def triangle_sign(x: torch.Tensor, window: torch.Tensor | None = None) -> torch.Tensor:
    """Sign with the gradient `(2 - 2 |x| / window) / window` within `window`, which is 1 unless given."""
    signed: torch.Tensor = SignActivation.apply(x, x.new_ones(()) if window is None else window)
    return signed


def sign_with_gradient_of(x: torch.Tensor, surrogate: torch.Tensor) -> torch.Tensor:
    """Exactly the sign of `x`, with the gradient of `surrogate`, a finite function of `x` and parameters."""
    return signs(x.detach()) + (surrogate - surrogate.detach())
