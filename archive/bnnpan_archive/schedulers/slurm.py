"""Jobs as a Slurm array: a script to be submitted, whose tasks each do one job of the order."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from bnnpan_archive.job import Order
from bnnpan_archive.result import Result
from bnnpan_runtime.durable_file import write_file
from bnnpan_runtime.memory import MIB, ceil_mib

__all__ = ["SlurmScheduler"]

_SCRIPT_NAME = "array.sh"
_WORKER_BYTES = 128 * MIB
"""Beside the run's budget: the process that waits for it, measured 83 MiB."""


@dataclass
class SlurmScheduler:
    """Writes the script; `workers` is how many tasks run at once."""

    workers: int
    next_step: str | None = field(default=None, init=False)

    def results(self, order: Order) -> Generator[Result, None, None]:
        """None: Slurm runs the jobs later."""
        archive = Path(order.archive)
        script = archive / _SCRIPT_NAME
        write_file(script, self._script(order).encode())
        quoted = shlex.quote(str(script))
        self.next_step = (
            f"sbatch {quoted}  # and when it is done: bnnpan archive report {shlex.quote(str(archive))}"
        )
        yield from ()

    def _script(self, order: Order) -> str:
        archive, threads = Path(order.archive), order.options.threads
        memory_bytes = max(job.memory_bytes for job in order.jobs()) + _WORKER_BYTES
        bnnpan = shlex.join([sys.executable, "-m", "bnnpan_runtime"])
        return "\n".join(
            [
                "#!/bin/sh",
                f"#SBATCH --job-name=bnnpan --array=0-{len(order.scenes) - 1}%{self.workers}",
                f"#SBATCH --cpus-per-task={threads} --mem={ceil_mib(memory_bytes) // MIB}M",
                "# A task that is begun again goes on where it was.",
                "#SBATCH --requeue",
                f"#SBATCH --output={shlex.quote(str(archive / 'slurm-%A_%a.log'))}",
                f'exec {bnnpan} archive job {shlex.quote(str(archive))} "$SLURM_ARRAY_TASK_ID"',
                "",
            ]
        )
