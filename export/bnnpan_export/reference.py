"""What the PyTorch reference makes of a scene: the values every exported form is held against."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model import PanSharpener
from bnnpan_export.scenes import Scene
from bnnpan_runtime.contract import Calibration

__all__ = ["Expected", "expected_product"]


@dataclass(frozen=True)
class Expected:
    """Affines `(blocks, 2, channels)` and HRMS `(bands, side, side)`, both in network units, float32."""

    affines: NDArray[np.float32]
    hrms: NDArray[np.float32]


@torch.no_grad()
def expected_product(
    model: PanSharpener, scene: Scene, calibration: Calibration, dtype: torch.dtype = torch.float32
) -> Expected:
    """Calibrate and fuse one scene with the pixel-domain module in evaluation mode, computing in `dtype`."""
    model = copy.deepcopy(model).to(dtype).eval()
    pan_patches, lms_patches = (torch.from_numpy(patches).to(dtype) for patches in scene.patches(calibration))
    affines = model.calibrate(pan_patches, lms_patches)
    pan, lms = (torch.from_numpy(image)[None].to(dtype) for image in (scene.pan, scene.lms))
    product = model.fuse(pan, lms, affines)[0]
    return Expected(affines.float().numpy(), product.float().numpy())
