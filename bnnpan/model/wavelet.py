"""One-level orthonormal Haar transform (db1) on even-sized planes."""

from __future__ import annotations

import torch

SUB_BANDS = ("LL", "LH", "HL", "HH")
"""Sub-band order everywhere: low/high-pass along rows (x) first, along columns (y) second."""


def haar(x: torch.Tensor) -> torch.Tensor:
    """Split `(n, channels, height, width)`, even-sized, into `(n, 4, channels, height/2, width/2)`."""
    a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
    c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
    top, bottom = a + b, c + d
    top_step, bottom_step = a - b, c - d
    return 0.5 * torch.stack(
        [top + bottom, top - bottom, top_step + bottom_step, top_step - bottom_step], dim=1
    )


def inverse_haar(sub_bands: torch.Tensor) -> torch.Tensor:
    """Exact inverse of `haar`: `(n, 4, channels, h, w)` to `(n, channels, 2h, 2w)`."""
    ll, lh, hl, hh = (0.5 * sub_bands).unbind(1)
    top, bottom, top_step, bottom_step = ll + lh, ll - lh, hl + hh, hl - hh
    n, channels, h, w = ll.shape
    even = torch.stack([top + top_step, top - top_step], dim=-1).reshape(n, channels, h, 2 * w)
    odd = torch.stack([bottom + bottom_step, bottom - bottom_step], dim=-1).reshape(n, channels, h, 2 * w)
    return torch.stack([even, odd], dim=3).reshape(n, channels, 2 * h, 2 * w)
