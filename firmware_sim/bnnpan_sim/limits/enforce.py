"""Runs a command under an enforced memory limit, by the strongest means this machine allows.

A memory cgroup is a board's memory: it counts the whole process tree with page cache and shared memory, and
the kernel kills on excess. Where none can be made, a watchdog polls the tree and kills it itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import IO, Protocol

from bnnpan_sim.processes import resident_bytes_and_peak

from .cgroups import CgroupV1, CgroupV2
from .throttle import NO_THROTTLE, Throttle
from .watchdog import Watchdog

POLL_SECONDS = 0.005
MOST_SAMPLES = 400


class Fence(Protocol):
    """One limit being enforced; made for one run and removed after it."""

    @property
    def said(self) -> tuple[str, ...]:
        """What is limited besides memory, and what could not be, in words."""

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command that steps into the fence and then becomes `command` by exec."""

    def watch(self, pid: int) -> None:
        """Called every `POLL_SECONDS` while the process lives."""

    def kills(self) -> int:
        """How many processes were killed for going over the limit."""

    def charged_peak_bytes(self) -> int:
        """The most this means ever counted against the limit."""


class Limiter(Protocol):
    """A means of enforcement."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def why_not(self) -> str | None:
        """Why it cannot be used here, in words; None if it can. Found out by trying."""

    def fence(self, limit_bytes: int, throttle: Throttle = NO_THROTTLE) -> AbstractContextManager[Fence]:
        """A fence of that size. Whatever is left alive inside is killed on leaving."""


@dataclass(frozen=True)
class Sample:
    """Resident memory of the command at a time since its start."""

    seconds: float
    resident_bytes: int


@dataclass(frozen=True)
class Outcome:
    """How a limited run ended.

    exit_code           as a shell shows it: 128 + the number of the signal that ended it
    killed              the limit killed it, or one of its children
    peak_bytes          largest resident set of the command itself
    charged_peak_bytes  what the means of enforcement counted: a cgroup adds page cache, which it takes back
                        when needed, so that this reaches the limit in any run that reads and writes enough
    cpu_seconds         user and system time of the command and the children it waited for
    said                what was limited besides memory, and what could not be, in words
    samples             resident memory over time, at most `MOST_SAMPLES`
    """

    enforced_by: str
    limit_bytes: int
    exit_code: int
    killed: bool
    timed_out: bool
    peak_bytes: int
    charged_peak_bytes: int
    seconds: float
    cpu_seconds: float
    stdout: str
    stderr: str
    said: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()


def limiters() -> tuple[Limiter, ...]:
    """All means, strongest first."""
    return CgroupV2(), CgroupV1(), Watchdog()


def choose_limiter() -> Limiter:
    """The strongest means that works here."""
    return next(limiter for limiter in limiters() if limiter.why_not() is None)


def run_limited(
    command: Sequence[str],
    limit_bytes: int,
    limiter: Limiter,
    *,
    cores: int | None = None,
    timeout_seconds: float = 600.0,
    throttle: Throttle = NO_THROTTLE,
    variables: Mapping[str, str] | None = None,
    started: Callable[[], None] = lambda: None,
    watch: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a command to its end under `limit_bytes`, on at most `cores` processors.

    `started` is called when the limit stands and the command begins, `watch` with every sample. `variables`
    replace the environment. Nothing of the command outlives this call.
    The timeout is no formality: in a cgroup a little too small, a program reads its own code in again and
    again for minutes before the kernel gives up on it, as it would on the board.
    """
    with (
        limiter.fence(limit_bytes, throttle) as fence,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        begin = time.monotonic()
        process = subprocess.Popen(
            fence.enter(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env=None if variables is None else dict(variables),
        )
        try:
            started()
            _restrict_cores(process.pid, cores)
            end = _wait(process, fence, begin, timeout_seconds, watch)
        finally:
            _kill_session(process)
        return Outcome(
            enforced_by=limiter.name,
            limit_bytes=limit_bytes,
            exit_code=end.exit_code,
            killed=fence.kills() > 0,
            timed_out=end.timed_out,
            peak_bytes=end.peak_bytes,
            charged_peak_bytes=fence.charged_peak_bytes(),
            seconds=time.monotonic() - begin,
            cpu_seconds=end.cpu_seconds,
            stdout=_text(stdout),
            stderr=_text(stderr),
            said=fence.said,
            samples=tuple(end.samples),
        )


@dataclass(frozen=True)
class _End:
    exit_code: int
    timed_out: bool
    peak_bytes: int
    cpu_seconds: float
    samples: Sequence[Sample]


def _wait(
    process: subprocess.Popen[bytes],
    fence: Fence,
    begin: float,
    timeout_seconds: float,
    watch: Callable[[], None],
) -> _End:
    peak_bytes = 0
    timed_out = False
    samples: list[Sample] = []
    while True:
        now = time.monotonic()
        resident_bytes, highest_bytes = resident_bytes_and_peak(process.pid)
        peak_bytes = max(peak_bytes, highest_bytes)
        _sample(samples, Sample(round(now - begin, 3), resident_bytes))
        fence.watch(process.pid)
        watch()
        # wait4 rather than poll: it gives the times of this child alone.
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            exit_code = process.returncode if process.returncode >= 0 else 128 - process.returncode
            return _End(exit_code, timed_out, peak_bytes, usage.ru_utime + usage.ru_stime, samples)
        if not timed_out and now > begin + timeout_seconds:
            timed_out = True
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _sample(samples: list[Sample], sample: Sample) -> None:
    """Keep it if enough time has passed; when there are many, only every second one stays.

    What memory was at most is not left to sampling: the kernel keeps that.
    """
    if not sample.resident_bytes:  # already gone
        return
    if len(samples) > 1 and sample.seconds - samples[-1].seconds < samples[-1].seconds / MOST_SAMPLES:
        return
    samples.append(sample)
    if len(samples) > MOST_SAMPLES:
        del samples[1::2]


def _restrict_cores(pid: int, cores: int | None) -> None:
    """Fewer processors than this machine has; more cannot be lent."""
    if cores is not None:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(pid, sorted(os.sched_getaffinity(0))[:cores])


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the command, whether it ended by itself or this program was interrupted."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        process.wait()


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
