"""The whole flow: catalogue -> order -> jobs -> results -> collection and page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnpan_archive.collection import write_collection
from bnnpan_archive.execute import execute
from bnnpan_archive.job import Order
from bnnpan_archive.pages.page import write_page
from bnnpan_archive.result import Result
from bnnpan_archive.schedulers import Scheduler
from bnnpan_runtime.claim import claimed
from bnnpan_runtime.errors import ConfigError, OutputError, one_line

__all__ = ["Summary", "report", "run_archive", "run_job"]


@dataclass(frozen=True)
class Summary:
    """What there is of an order; the JSON of `bnnpan archive run --json`.

    waiting  scenes that nobody has tried yet
    """

    archive: Path
    results: tuple[Result, ...]
    waiting: int

    @property
    def failures(self) -> list[Result]:
        """Scenes without a product."""
        return [result for result in self.results if result.failed]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        skipped = sum(result.skipped for result in self.results)
        return {
            "collection": str(self.archive / "collection.json"),
            "page": str(self.archive / "index.html"),
            "scenes": len(self.results) + self.waiting,
            "made": len(self.results) - len(self.failures) - skipped,
            "skipped": skipped,
            "failed": len(self.failures),
            "waiting": self.waiting,
            "results": [result.to_json() for result in self.results],
        }


def run_archive(order: Order, scheduler: Scheduler, progress: Callable[[int, int], None]) -> Summary:
    """Have every scene done that is not, and sum up. Raises OutputError if another run is at it."""
    archive = Path(order.archive)
    try:
        archive.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{archive} cannot be made ({one_line(error)}); choose a writable --out") from error
    with claimed(archive, archive / ".archive.lock") as claim:
        order.write()
        found: dict[str, Result] = {}
        with closing(scheduler.results(order)) as results:
            for result in results:
                found[result.scene] = result
                progress(len(found), len(order.scenes))
        summary = report(order, found)
        claim.release()
        return summary


def run_job(order: Order, index: int) -> Result:
    """Do one job of an order, by its place in it. Raises ConfigError if there is no such."""
    jobs = order.jobs()
    if not 0 <= index < len(jobs):
        raise ConfigError(f"{order.archive}: has jobs 0 to {len(jobs) - 1}, and no {index}")
    return execute(jobs[index])


def report(order: Order, found: dict[str, Result] | None = None) -> Summary:
    """Write collection and page of all that is recorded, and of what has just been `found`."""
    known = {job.scene.name: (found or {}).get(job.scene.name) or Result.read(job) for job in order.jobs()}
    results = tuple(result for result in known.values() if result is not None)
    summary = Summary(Path(order.archive), results, len(known) - len(results))
    write_collection(order, results)
    write_page(order, summary.results, summary.waiting)
    return summary
