"""Jobs on this computer, some at a time."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from bnnpan_archive.execute import execute
from bnnpan_archive.job import Order
from bnnpan_archive.result import Result

__all__ = ["LocalScheduler"]


@dataclass(frozen=True)
class LocalScheduler:
    """A thread waits for each process; the processes do the work."""

    workers: int
    next_step: None = None

    def results(self, order: Order) -> Generator[Result, None, None]:
        """Results as the scenes get done."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="scene")
        try:
            for future in as_completed([pool.submit(execute, job) for job in order.jobs()]):
                yield future.result()
        finally:
            # Where the program is being ended, nobody waits for runs under way: they end with it.
            pool.shutdown(wait=False, cancel_futures=True)
