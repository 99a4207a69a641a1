"""What a scheduler is: an engine that has jobs done, one scene each, anywhere and in any order."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from bnnpan_archive.job import Order
from bnnpan_archive.result import Result

__all__ = ["Scheduler"]


class Scheduler(Protocol):
    """Every job of an order is done by `bnnpan_archive.execute.execute`; never is a scene divided."""

    def results(self, order: Order) -> Generator[Result, None, None]:
        """Results as they come, one for each job; none if the jobs are only handed over."""
        ...

    @property
    def next_step(self) -> str | None:
        """What is left to the user once the results have ended; None if the jobs are done by then."""
        ...
