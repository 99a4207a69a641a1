"""A scheduler by the word of `--scheduler`."""

from __future__ import annotations

from bnnpan_runtime.errors import ConfigError

from .local import LocalScheduler
from .protocol import Scheduler
from .slurm import SlurmScheduler

__all__ = ["LOCAL", "open_scheduler"]

LOCAL = "local"
_SLURM = "slurm"
_DASK = "dask://"
_DASK_ADDRESSES = ("tcp://", "tls://", "ucx://")


def open_scheduler(word: str, workers: int) -> Scheduler:
    """The scheduler of that name or address; `workers` at once. Raises ConfigError."""
    if word == LOCAL:
        return LocalScheduler(workers)
    if word == _SLURM:
        return SlurmScheduler(workers)
    if word.startswith((_DASK, *_DASK_ADDRESSES)):
        from .dask import DaskScheduler

        return DaskScheduler(word.replace(_DASK, "tcp://"))
    raise ConfigError(f"{word!r} is no scheduler; known are {LOCAL}, {_SLURM} and dask://HOST:PORT")
