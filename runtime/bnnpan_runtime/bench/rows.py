"""What `bnnpan bench` measures, as plain values; their JSON is the contract of `bnnpan bench --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ORT_FLOAT32", "STAGES", "Case", "Machine", "Report", "Row", "SceneRow"]

STAGES = {
    "pack": "signs of one block's input to bits",
    "convolve": "binary convolution of one block, no other arithmetic",
    "unit": "one block: NBC units with their epilogue and affine",
    "trunk": "all blocks",
    "head": "head convolution and Haar transform",
    "tail": "inverse Haar transform, tail convolution, plus LMS",
    "lms": "DN to network units, MS interpolated",
    "quantise": "network units to DN",
    "graph": "PAN and LMS to HRMS, float images",
    "tile": "DN to DN",
}
"""What is timed, in the order of the table."""

ORT_FLOAT32 = "onnx"
"""The backend that others are compared with: stock ONNX Runtime on the bundle's own file."""


@dataclass(frozen=True)
class Case:
    """One thing to time: a stage on windows of `tile x tile` PAN pixels, `threads` of them side by side."""

    stage: str
    channels: int
    tile: int
    threads: int


@dataclass(frozen=True)
class Row:
    """One line of the result.

    median_seconds    wall time per window; None if it could not be run, and `reason` tells why
    relative_spread   interquartile range of the samples over their median
    share_of_peak     time that its multiply-accumulates take at the measured peaks over the time it took;
                      None for what multiplies nothing
    """

    stage: str
    backend: str
    channels: int
    tile: int
    threads: int
    median_seconds: float | None = None
    relative_spread: float | None = None
    times_faster_than_ort_float32: float | None = None
    share_of_peak: float | None = None
    pan_pixels_per_second: float | None = None
    reason: str | None = None

    @property
    def case(self) -> Case:
        """What was timed, whoever did it."""
        return Case(self.stage, self.channels, self.tile, self.threads)


@dataclass(frozen=True)
class SceneRow:
    """A whole process that reads a scene and writes its product; medians.

    what                      "fuse"; "floor", which copies PAN into as many bands as MS has; or "plan", which
                              opens everything and computes nothing
    start_*                   what of them is start-up: those of "plan", for the floor those of its imports
    *_after_start             without them
    share_of_tile_throughput  speed after start over that of single tiles in memory
    """

    what: str
    backend: str | None
    size: int
    threads: int
    tile: int | None
    seconds: float
    cpu_seconds: float
    relative_spread: float
    peak_bytes: int
    start_seconds: float = 0.0
    start_cpu_seconds: float = 0.0
    pan_pixels_per_second: float | None = None
    pan_pixels_per_cpu_second: float | None = None
    pan_pixels_per_second_after_start: float | None = None
    pan_pixels_per_cpu_second_after_start: float | None = None
    share_of_tile_throughput: float | None = None


@dataclass(frozen=True)
class Machine:
    """Where it was measured; peaks of one thread with the best instruction set, taken in the same run.

    `busy_cores` is how many cores other work kept busy meanwhile, on average: with any, figures are rough.
    """

    cpu: str
    isa: str
    cores: int
    xnor_peak_macs_per_second: float
    fma_peak_macs_per_second: float
    isa_peaks: Mapping[str, tuple[float, float]]
    busy_cores: float
    software: Mapping[str, str]

    def share_of_peak(
        self, binary_macs: int, float_macs: int, seconds: float, threads: int = 1
    ) -> float | None:
        """How near to the limit: the arithmetic at its peaks over the time taken."""
        at_peak = binary_macs / self.xnor_peak_macs_per_second + float_macs / self.fma_peak_macs_per_second
        return at_peak / threads / seconds if at_peak else None


@dataclass(frozen=True)
class Report:
    """Everything one run found."""

    machine: Machine
    rows: Sequence[Row]
    scenes: Sequence[SceneRow] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)
