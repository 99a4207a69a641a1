"""Fair timing: everybody is made ready, then all take turns, round by round, so that noise hits all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Protocol

from bnnpan_runtime.bench.network import Images, Network
from bnnpan_runtime.bench.rows import Case, Row
from bnnpan_runtime.errors import BnnpanError, one_line

__all__ = ["Competitor", "Effort", "Entry", "Run", "compete", "timed"]

Run = Callable[[int], float]
"""Does the work that many times, returns the seconds it took."""


class Competitor(Protocol):
    """One way to run the network, or parts of it."""

    @property
    def name(self) -> str:
        """Value of `Row.backend`."""
        ...

    @property
    def stages(self) -> Sequence[str]:
        """The parts it can run by themselves."""
        ...

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Run]:
        """One run per thread of the case, with buffers of its own.

        Raises BnnpanError, whose text becomes the row's reason, if it cannot run here.
        """
        ...


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    A sample lasts `sample_seconds` or more; who has spent `enough_seconds` sits out the other rounds.
    """

    rounds: int = 7
    sample_seconds: float = 0.03
    enough_seconds: float = 6.0


@dataclass
class Entry:
    """A competitor in one case."""

    competitor: Competitor
    case: Case
    runs: Sequence[Run] = ()
    reason: str | None = None
    count: int = 1
    samples: list[float] = field(default_factory=list)
    spent: float = 0.0

    def row(self) -> Row:
        """Median and spread of the samples; the comparisons are still missing."""
        names = vars(self.case)
        if self.reason is not None or not self.samples:
            return Row(backend=self.competitor.name, reason=self.reason or "not run", **names)
        middle = median(self.samples)
        return Row(
            backend=self.competitor.name,
            median_seconds=middle,
            relative_spread=spread(self.samples),
            pan_pixels_per_second=self.case.tile**2 / middle,
            **names,
        )


def spread(samples: Sequence[float]) -> float:
    """Interquartile range over the median."""
    if len(samples) < 2:
        return 0.0
    first, middle, third = quantiles(samples, n=4, method="inclusive")
    return (third - first) / middle


def timed(work: Callable[[], object]) -> Run:
    """Wall time of plain calls."""

    def run(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            work()
        return time.perf_counter() - started

    return run


def compete(
    entries: Sequence[Entry],
    network: Network,
    images: Images,
    effort: Effort,
    step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Time all entries, which share one case; `step` is called after each sample."""
    for entry in entries:
        _prepare(entry, network, images, effort)
    for _ in range(effort.rounds):
        for entry in entries:
            if entry.reason is None and entry.spent < effort.enough_seconds:
                _sample(entry)
            step()
    rows = [entry.row() for entry in entries]
    for entry in entries:
        entry.runs = ()  # the next contest needs the memory
    return rows


def _prepare(entry: Entry, network: Network, images: Images, effort: Effort) -> None:
    """Open, warm up, and find how many runs make a sample; for who is too slow, the first run must do."""
    try:
        entry.runs = entry.competitor.prepare(network, images, entry.case)
        seconds = _together(entry.runs, 1)
        if seconds > effort.enough_seconds:
            _keep(entry, seconds)
            return
        seconds = _together(entry.runs, 1)
    except BnnpanError as error:
        entry.reason = one_line(error)
        return
    entry.count = max(1, math.ceil(effort.sample_seconds / max(seconds, 1e-6)))


def _sample(entry: Entry) -> None:
    _keep(entry, _together(entry.runs, entry.count))


def _keep(entry: Entry, seconds: float) -> None:
    entry.spent += seconds
    entry.samples.append(seconds / (entry.count * len(entry.runs)))


def _together(runs: Sequence[Run], count: int) -> float:
    """Seconds until all threads have done `count` runs each."""
    if len(runs) == 1:
        return runs[0](count)
    with ThreadPoolExecutor(len(runs)) as pool:
        started = time.perf_counter()
        list(pool.map(lambda run: run(count), runs))
        return time.perf_counter() - started
