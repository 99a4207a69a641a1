"""A Dask cluster of real processes, whose workers can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnnpan_sim.processes import descendants

__all__ = ["Cluster", "cluster"]

_START_SECONDS = 120


@dataclass(frozen=True)
class Cluster:
    """A scheduler's address, and the workers' processes."""

    address: str
    workers: tuple[subprocess.Popen[bytes], ...]

    def kill_a_busy_worker(self) -> None:
        """SIGKILL one that has a run of `fuse` under way, once there is one."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            for worker in self.workers:
                if worker.poll() is None and len(list(descendants(worker.pid))) > 1:
                    worker.send_signal(signal.SIGKILL)
                    worker.wait()
                    return
            time.sleep(0.02)
        raise AssertionError("no worker had anything to do")


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A scheduler and its workers, a process each, without nannies that would start killed ones again."""
    import distributed

    described = folder / "scheduler.json"
    with ExitStack() as stack:
        start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        _started(
            stack, folder / "scheduler.log", [*start, "--no-dashboard", "--scheduler-file", str(described)]
        )
        word = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(described)]
        word += ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)]
        running = tuple(_started(stack, folder / f"{number}.log", word) for number in range(workers))
        with distributed.Client(scheduler_file=str(described), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=_START_SECONDS)
            address = client.scheduler.address
        yield Cluster(address.replace("tcp://", "dask://"), running)


def _started(stack: ExitStack, log: Path, command: list[str]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    file = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process
