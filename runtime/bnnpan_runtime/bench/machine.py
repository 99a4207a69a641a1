"""The computer that is measured: its name, its software, and how fast its registers are."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata

from bnnpan_runtime import __version__
from bnnpan_runtime.bench.native import peaks
from bnnpan_runtime.bench.rows import Machine
from bnnpan_runtime.doctor import cpu_name

__all__ = ["PeakMeter", "cores"]

_SOFTWARE = ("numpy", "rasterio", "onnxruntime", "ai-edge-litert", "larq-compute-engine", "torch")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


class PeakMeter:
    """Keeps the best peaks of a run: neighbours on the computer can only take away from them."""

    def __init__(self) -> None:
        self._best: dict[str, tuple[float, float]] = {}
        self._started, self._others = time.perf_counter(), _seconds_of_others()

    def measure(self, isa: str) -> None:
        """Take the peaks of an instruction set once more. Raises BackendError if it is not available."""
        binary, fused = peaks(isa)
        known = self._best.get(isa, (0.0, 0.0))
        self._best[isa] = (max(binary, known[0]), max(fused, known[1]))

    def _busy_cores(self) -> float:
        seconds = time.perf_counter() - self._started
        return max(0.0, _seconds_of_others() - self._others) / seconds

    def machine(self) -> Machine:
        """What is known now; the peaks are those of the best instruction set, and 0 without the library."""
        isa = next(iter(self._best), "none")
        binary, fused = self._best.get(isa, (0.0, 0.0))
        return Machine(
            cpu=cpu_name(),
            isa=isa,
            cores=cores(),
            xnor_peak_macs_per_second=binary,
            fma_peak_macs_per_second=fused,
            isa_peaks=dict(self._best),
            busy_cores=self._busy_cores(),
            software=_software(),
        )


def _seconds_of_others() -> float:
    """Processor time that all but this process and its children have taken since the computer started."""
    with open("/proc/stat", encoding="ascii") as statistics:
        user, nice, system, _, _, *interrupts = map(int, statistics.readline().split()[1:9])
    everything = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return everything - sum(os.times()[:4])


def _software() -> dict[str, str]:
    versions = {"bnnpan-runtime": __version__, "python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
