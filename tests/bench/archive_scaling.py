"""How fast an archive is fused by one worker and by two, and what to expect of more.

python tests/bench/archive_scaling.py --scenes 8 --size 1024 --repeats 3

Measured: scenes per second with each number of workers, interleaved; of one worker, the processor seconds and
the bytes of a scene, those of its processes and of their libraries; the disk's bandwidth. The model beyond is
a roof: workers add up until the shared disk is busy all the time. It knows nothing of memory bandwidth, of
clocks that fall when all cores work, or of a scheduler's own time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROGRAM = "from bnnpan_archive.cli import command; command()"
BEYOND = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BLOCK = bytes(2**20)


@dataclass(frozen=True)
class Share:
    """What a scene takes: seconds by the clock and of the processor, and bytes read and written."""

    seconds: float
    cpu_seconds: float
    bytes_moved: float


def main() -> None:
    """Print what is measured, then the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cores", type=int, default=16, help="of a computer of the model")
    parser.add_argument("--shared-mb-per-second", type=float, help="of the disk all share; else as measured")
    parser.add_argument("--work", type=Path, help="folder on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        make_scenes(folder / "scenes", options.scenes, options.size)
        taken: dict[int, list[Share]] = {workers: [] for workers in options.workers}
        for repeat in range(options.repeats):
            for workers in options.workers:
                taken[workers].append(measure(folder, f"{workers}-{repeat}", workers, options.scenes))
        bandwidth = disk_bandwidth(folder / "probe")
    print(f"{options.scenes} scenes of {options.size} x {options.size}, {os.cpu_count()} cores,")
    print(f"load {os.getloadavg()[0]:.1f} at the end; above the number of workers, others work here, too")
    print_measured(taken)
    shared = options.shared_mb_per_second * 1e6 if options.shared_mb_per_second else bandwidth
    print_model(min(taken[min(taken)], key=lambda share: share.seconds), shared, options.cores)


def make_scenes(folder: Path, count: int, size: int) -> None:
    """A synthetic scene, and as many links to it as there shall be scenes."""
    synth = ["scene", "synth", "--size", str(size), "--out", str(folder / "s0")]
    subprocess.run([sys.executable, "-m", "bnnpan_runtime", *synth], check=True, stdout=subprocess.DEVNULL)
    for number in range(1, count):
        (folder / f"s{number}").mkdir()
        for kind in ("pan.tif", "ms.tif"):
            os.link(folder / "s0" / kind, folder / f"s{number}" / kind)


def measure(folder: Path, name: str, workers: int, scenes: int) -> Share:
    """An archive run of all scenes; each share is of one scene."""
    words = ["run", str(folder / "scenes"), "--out", str(folder / name), "--memory", "512MiB"]
    before, moved, began = cpu_seconds(), bytes_moved(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "--workers", str(workers)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    seconds = time.perf_counter() - began
    return Share(seconds / scenes, (cpu_seconds() - before) / scenes, (bytes_moved() - moved) / scenes)


def cpu_seconds() -> float:
    """Of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bytes_moved() -> int:
    """Read and written through system calls, by this process and by children that have ended."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"]) + int(fields["wchar"])


def disk_bandwidth(path: Path) -> float:
    """Bytes per second that are written and on the disk: the slower of its two directions."""
    size = 256
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(size):
            file.write(BLOCK)
        os.fsync(file.fileno())
    return size * len(BLOCK) / (time.perf_counter() - began)


def print_measured(taken: dict[int, list[Share]]) -> None:
    """A line for each number of workers, and how far the repeats are apart."""
    alone = median(share.seconds for share in taken[min(taken)])
    for workers, shares in taken.items():
        seconds = [share.seconds for share in shares]
        middle = median(seconds)
        print(
            f"{workers} workers: {1 / middle:.3f} scenes/s, {alone / middle:.2f} times one,"
            f" {median(share.cpu_seconds for share in shares):.2f} processor seconds a scene,"
            f" repeats within {100 * (max(seconds) - min(seconds)) / middle:.0f} %"
        )


def print_model(one: Share, bandwidth: float, cores: int) -> None:
    """Scenes per second of many workers with a core each, and what limits them.

    A worker computes and moves bytes in turn; what one waits for a core that others use is left out.
    """
    moving = one.bytes_moved / bandwidth
    alone = one.cpu_seconds + moving
    print(
        f"a scene alone took {one.seconds:.2f} s: {one.cpu_seconds:.2f} s computing, {moving:.2f} s for the"
        f" {one.bytes_moved / 1e6:.0f} MB read and written at the disk's {bandwidth / 1e6:.0f} MB/s"
    )
    print(f"model, computers of {cores} cores that share this disk:")
    roof = 1 / moving
    for workers in BEYOND:
        rate = min(workers / alone, roof)
        limit = "processors" if rate < roof else "disk"
        computers = -(-workers // cores)
        print(f"  {workers:4} workers on {computers:3} computers: {rate:8.2f} scenes/s, limited by {limit}")


if __name__ == "__main__":
    main()
