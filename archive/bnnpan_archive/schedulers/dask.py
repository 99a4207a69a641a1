"""Jobs on the workers of a Dask cluster: one future for each scene, and no graph inside a scene.

A worker that is lost while it does a job has it done again by another, which goes on from the journal that
the lost one has left on the disk they share.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from bnnpan_archive.errors import needs_extra
from bnnpan_archive.execute import execute, failure
from bnnpan_archive.job import Order
from bnnpan_archive.result import Result
from bnnpan_runtime.errors import ConfigError, one_line

with needs_extra("Dask clusters"):
    from distributed import Client, as_completed

__all__ = ["DaskScheduler"]

_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class DaskScheduler:
    """How many jobs run at once is for the cluster: one for each thread of its workers."""

    address: str
    next_step: None = None

    def results(self, order: Order) -> Generator[Result, None, None]:
        """Results as the scenes get done. Raises ConfigError if there is no cluster."""
        try:
            client = Client(self.address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise ConfigError(
                f"{self.address}: no Dask scheduler answers ({one_line(error)}); start `dask scheduler` there"
            ) from error
        with client:
            jobs = order.jobs()
            # Not pure: a job that has failed before is to be tried again, not remembered.
            futures = dict(zip(client.map(execute, jobs, pure=False), jobs, strict=True))
            for future in as_completed(list(futures), loop=client.loop):
                lost = future.exception()
                yield future.result() if lost is None else failure(futures[future], lost)
                future.release()
