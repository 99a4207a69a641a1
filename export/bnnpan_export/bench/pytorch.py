"""The network as it is trained, in PyTorch: signs as float32, statistics frozen."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan_export.bench.fuse_only import FuseOnly
from bnnpan_export.passes.capture import model_config
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["PyTorchBackend"]


class PyTorchBackend(FuseOnly):
    """A network of the bundle's sizes with random weights: a bundle does not hold what PyTorch would load."""

    name = "pytorch"

    def __init__(self, bundle: Bundle) -> None:
        torch.set_num_threads(1)
        self._model = random_network(model_config(bundle.manifest.network)).eval()
        self.isa = f"torch {torch.__version__}"

    @torch.inference_mode()
    def fuse(
        self, pan: Float32, lms: Float32, affines: Float32, out: Float32, arena: NDArray[np.uint8]
    ) -> None:
        """One window."""
        result = self._model.fuse(*(torch.from_numpy(image) for image in (pan[None], lms[None], affines)))
        np.copyto(out, result[0].numpy())
