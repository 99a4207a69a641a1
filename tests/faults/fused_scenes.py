"""Real runs of `fuse` on a small scene, in processes that can be killed, traced and stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raw_scenes import RawScene, write_raw_scene

PROGRAM = """
import os
import signal
from bnnpan_runtime.product import block_file, mosaic
from bnnpan_runtime.cli import main
from bnnpan_runtime.product.journal import Journal

block_file.BLOCK, mosaic.CHECKPOINT_SECONDS = 64, 0.0
number, blocks = map(int, os.environ.get("SIGNAL_AFTER_BLOCKS", "0 0").split())
append, recorded = Journal.append, []

def append_and_signal(journal, records):
    append(journal, records)
    recorded.extend(records)
    if number and len(recorded) == blocks:
        os.kill(os.getpid(), number)

Journal.append = append_and_signal
if number not in (0, signal.SIGKILL):
    signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
main()
"""
"""The command line, with small blocks, a checkpoint after every tile, and a signal when it has been told."""


@dataclass(frozen=True)
class FuseCommand:
    """`bnnpan fuse` of a scene of six blocks."""

    raw: RawScene

    @classmethod
    def of_new_scene(cls, folder: Path) -> FuseCommand:
        return cls(write_raw_scene(folder, 190, 120, nodata=0))

    def line(self, out: Path, **options: Any) -> list[str]:
        words = {"pan": self.raw.pan, "ms": self.raw.ms, "out": out, "memory": "2GiB", "tile": 64, **options}
        arguments = [word for name, value in words.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-c", PROGRAM, "fuse", "--json", *arguments]

    def run(
        self, out: Path, *, prefix: tuple[str, ...] = (), suffix: tuple[str, ...] = (), **options: Any
    ) -> subprocess.CompletedProcess[str]:
        line = [*prefix, *self.line(out, **options), *suffix]
        return subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=300)

    def run_until(self, out: Path, blocks: int, number: int) -> subprocess.CompletedProcess[str]:
        """Run until a signal comes, when so many blocks are recorded."""
        told = {**environment(), "SIGNAL_AFTER_BLOCKS": f"{int(number)} {blocks}"}
        return subprocess.run(self.line(out), env=told, capture_output=True, text=True, timeout=300)

    def finish(self, out: Path, **options: Any) -> dict[str, Any]:
        """Run without any fault; the report."""
        result = self.run(out, **options)
        assert result.returncode == 0, result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        return report


def environment() -> dict[str, str]:
    """For a clean interpreter: what this one can import, one thread per library."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
