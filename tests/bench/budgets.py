"""Draw scenes and budgets, fuse each in a process of its own, and compare its peak with what was promised.

PYTHONPATH=tests python tests/bench/budgets.py --runs 200

A case is told by its number: `--seed 1 --only 17` repeats it. The peak is what the kernel has counted for the
process (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raw_scenes import RawScene, write_raw_scene

MIB = 2**20
TOO_SMALL = 5
"""Exit code of `fuse` for a budget that cannot be kept."""

LAYOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"interleave": "band"},
    {"blockysize": 16},
    {"tiled": True, "blockxsize": 256, "blockysize": 256},
    {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"},
    {"tiled": True, "blockxsize": 1024, "blockysize": 1024},
)
COMPRESSIONS = (None, "deflate", "lzw", "zstd", "lerc", "packbits")
DTYPES = ("uint8", "uint16", "int16", "float32")
BACKENDS = ("native", "onnx", "tflite", "classical")


@dataclass(frozen=True)
class Case:
    """One scene and how it is fused; the budget is so many times the smallest possible, at most."""

    height: int
    width: int
    layout: dict[str, Any]
    dtype: str
    backend: str
    threads: int
    budget_factor: float


def main() -> None:
    """Print budget, predicted and measured peak of each case, then how many of the promises were kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one case")
    parser.add_argument("--largest", type=int, default=3000, help="PAN pixels along a side")
    options = parser.parse_args()
    ratios, beyond = [], []
    for number, case in enumerate(cases(options.runs, options.seed, options.largest)):
        if options.only not in (None, number):
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = run(case, Path(folder))
        predicted, measured, budget = (
            report[f"{name}_bytes"] for name in ("predicted_peak", "measured_peak", "budget")
        )
        ratios.append(predicted / measured)
        beyond += [number] if measured > budget else []
        size = f"{case.height:5} x {case.width:5} {case.dtype:8} {case.threads} threads"
        told = f"{budget / MIB:6.1f} {predicted / MIB:6.1f} {measured / MIB:6.1f} MiB {ratios[-1]:.3f}"
        print(f"{number:4} {case.backend:9} {size} {told} {json.dumps(case.layout)}", flush=True)
    within = sum(abs(ratio - 1) <= 0.1 for ratio in ratios)
    print(f"{len(ratios)} runs, {len(beyond)} beyond their budget {beyond or ''}")
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"predicted / measured: median {middle:.3f}, {low:.3f} to {high:.3f}; {within} within 10 %")


def cases(count: int, seed: int, largest: int) -> Iterator[Case]:
    """The same for the same seed."""
    draw = random.Random(seed)
    for _ in range(count):
        layout = {**draw.choice(LAYOUTS), "compress": draw.choice(COMPRESSIONS)}
        yield Case(
            height=round(128 * (largest / 128) ** draw.random()),
            width=round(128 * (largest / 128) ** draw.random()),
            layout={key: value for key, value in layout.items() if value is not None},
            dtype=draw.choice(DTYPES),
            backend=draw.choice(BACKENDS),
            threads=draw.choice((1, 2)),
            budget_factor=draw.choice((1.0, 1.1, 1.3, 2.0, 4.0)),
        )


def run(case: Case, folder: Path) -> dict[str, Any]:
    """The report of `bnnpan fuse`."""
    raw = write_raw_scene(folder, case.height, case.width, dtype=case.dtype, **case.layout)
    smallest = _smallest_budget(case, raw)
    words = _words(case, raw, int(smallest * case.budget_factor))
    done = _bnnpan("fuse", *words, "--out", str(folder / "out.tif"))
    if done.returncode:
        raise SystemExit(f"{asdict(case)}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _smallest_budget(case: Case, raw: RawScene) -> int:
    """In bytes: `plan` names it when it refuses a smaller one."""
    refused = _bnnpan("plan", *_words(case, raw, MIB))
    told = re.search(r"the smallest that works is ([0-9.]+)MiB", refused.stderr)
    if refused.returncode != TOO_SMALL or not told:
        raise SystemExit(f"{asdict(case)}: {refused.stderr}")
    return int(float(told[1]) * MIB)


def _words(case: Case, raw: RawScene, budget_bytes: int) -> list[str]:
    words = {"pan": raw.pan, "ms": raw.ms, "memory": budget_bytes, "threads": case.threads}
    pairs = {**words, "backend": case.backend, **({"bit-depth": 11} if case.dtype == "float32" else {})}
    return [word for name, value in pairs.items() for word in (f"--{name}", str(value))]


def _bnnpan(command: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bnnpan_runtime", command, "--json", *words]
    return subprocess.run(line, capture_output=True, text=True)


if __name__ == "__main__":
    main()
