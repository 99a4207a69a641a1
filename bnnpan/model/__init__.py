"""BNNPan (Hou et al., CVPR 2025) as a readable pixel-domain PyTorch module, and networks to compare with."""

from collections.abc import Mapping

from bnnpan.model.base import PanSharpener
from bnnpan.model.bnnpan import BNNPan
from bnnpan.model.config import Architecture, ModelConfig
from bnnpan.model.plain import PNN, FusionNet

__all__ = ["BNNPan", "ModelConfig", "PanSharpener", "make_network"]

_ARCHITECTURES: Mapping[Architecture, type[BNNPan | PNN | FusionNet]] = {
    "bnnpan": BNNPan,
    "pnn": PNN,
    "fusionnet": FusionNet,
}


def make_network(config: ModelConfig) -> PanSharpener:
    """A fresh network, as the configuration describes it."""
    return _ARCHITECTURES[config.architecture](config)
