"""Who runs the jobs: processes of this computer, Dask, or Slurm."""

from __future__ import annotations

from .protocol import Scheduler
from .select import open_scheduler

__all__ = ["Scheduler", "open_scheduler"]
