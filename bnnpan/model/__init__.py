"""BNNPan (Hou et al., CVPR 2025) as a readable pixel-domain PyTorch module."""

from bnnpan.model.bnnpan import BNNPan
from bnnpan.model.config import ModelConfig

__all__ = ["BNNPan", "ModelConfig"]
