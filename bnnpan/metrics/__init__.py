"""Quality metrics as DLPan-Toolbox defines them, so that numbers compare with published tables."""

from bnnpan.metrics.full import full_resolution
from bnnpan.metrics.reduced import reduced_resolution

__all__ = ["full_resolution", "reduced_resolution"]
