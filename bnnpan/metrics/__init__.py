"""Quality metrics as DLPan-Toolbox defines them, so that numbers compare with published tables."""

from bnnpan.metrics.reduced import reduced_resolution

__all__ = ["reduced_resolution"]
