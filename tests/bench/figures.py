"""Measure what docs/results.md states about the runtime: size, start, memory and speed of `bnnpan`.

    python tests/bench/figures.py --bnnpan .venv-demo/bin/bnnpan --work build/figures > figures.json

Runs are whole processes, interleaved over the cases and repeated; figures are medians. The peak is that of
the process as the kernel counts it (its resident set, mapped files included), next to what `fuse` itself
reports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bnnpan_runtime.bench.process import run_process
from bnnpan_runtime.memory import MIB


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bnnpan", type=Path, required=True, help="the command, inside its environment")
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and products")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--memory", default="128MiB")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bnnpan = options.bnnpan.absolute()
    for size in options.sizes:
        make_scene(bnnpan, options.work, size)
    figures = {
        "installed_mib": installed_mib(bnnpan),
        "start_seconds": start_seconds(bnnpan, options.work, options.sizes[0], options.repeats),
        "fuse": fuse_figures(bnnpan, options.work, options.sizes, options.memory, options.repeats),
    }
    print(json.dumps(figures, indent=2))


def make_scene(bnnpan: Path, work: Path, size: int) -> None:
    """Synthesise a scene unless it is there."""
    if not (work / f"{size}" / "truth.tif").exists():
        command = [bnnpan, "scene", "synth", "--size", str(size), "--out", work / f"{size}", "--overwrite"]
        subprocess.run(command, check=True, stdout=sys.stderr)


def installed_mib(bnnpan: Path) -> dict[str, float]:
    """Size of every installed package above 1 MiB, and of all but the installer itself."""
    (site,) = bnnpan.parent.parent.glob("lib/python*/site-packages")
    sizes = {entry.name: folder_bytes(entry) for entry in site.iterdir() if entry.is_dir()}
    ours = {name: size for name, size in sizes.items() if name.split("-")[0] not in INSTALLER}
    large = {name: round(size / MIB, 1) for name, size in ours.items() if size > MIB}
    return {"total": round(sum(ours.values()) / MIB, 1), **dict(sorted(large.items()))}


INSTALLER = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def start_seconds(bnnpan: Path, work: Path, size: int, repeats: int) -> dict[str, float]:
    """Wall time of `--help` and of `plan` (all imports, engine and scene opened), files warm and cold."""
    scene = work / f"{size}"
    plan = ["plan", "--pan", scene / "pan.tif", "--ms", scene / "ms.tif", "--memory", "1GiB"]
    cases: dict[str, list[Any]] = {"help": ["--help"], "plan": plan}
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, arguments in cases.items():
            for state in ("warm", "cold"):
                if state == "cold":
                    forget(bnnpan.parent.parent.rglob("*"))
                times.setdefault(f"{name}_{state}", []).append(run_process([bnnpan, *arguments]).seconds)
    return {name: round(median(values), 2) for name, values in times.items()}


def forget(paths: Iterable[Path]) -> None:
    """Drop files from the page cache."""
    for path in paths:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def fuse_figures(
    bnnpan: Path, work: Path, sizes: list[int], memory: str, repeats: int
) -> list[dict[str, Any]]:
    """Peak and speed of `fuse` by scene size and threads."""
    cases = [(size, threads) for size in sizes for threads in (1, 2)]
    runs: dict[tuple[int, int], list[dict[str, Any]]] = {case: [] for case in cases}
    for _ in range(repeats):
        for size, threads in cases:
            scene, product = work / f"{size}", work / "product.tif"
            command = [bnnpan, "fuse", "--pan", scene / "pan.tif", "--ms", scene / "ms.tif", "--out", product]
            options = ["--memory", memory, "--threads", str(threads), "--overwrite", "--json"]
            usage = run_process([*command, *options])
            runs[size, threads].append({**json.loads(usage.output), "process_peak": usage.peak_bytes})
    rows = []
    for (size, threads), reports in runs.items():
        first = reports[0]
        rows.append(
            {
                "size": size,
                "threads": threads,
                "backend": f"{first['backend']} ({first['isa']})",
                "tile": first["tile"],
                "budget_mib": first["budget_bytes"] / MIB,
                "predicted_mib": round(first["predicted_peak_bytes"] / MIB, 1),
                "measured_mib": round(max(r["measured_peak_bytes"] for r in reports) / MIB, 1),
                "process_peak_mib": round(max(r["process_peak"] for r in reports) / MIB, 1),
                "mpix_per_second": round(median(r["pan_pixels_per_second"] for r in reports) / 1e6, 2),
                "spread_mpix_per_second": [
                    round(pick(r["pan_pixels_per_second"] for r in reports) / 1e6, 2) for pick in (min, max)
                ],
            }
        )
    return rows


if __name__ == "__main__":
    main()
