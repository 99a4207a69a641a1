"""What every stage of the engine costs on ARM: executed instructions, and cycles by LLVM's models of cores.

    python tests/arm/costs.py            compare with the recorded costs, and print them all
    python tests/arm/costs.py --update   record the present costs

Per run over a window of 256 x 16 PAN pixels. No board is involved: instructions are exact, cycles a lower
bound.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from arm.cores import Estimator, estimator
from arm.emulator import HEIGHT, STAGES, WIDTH, Build, build, executed, instruction_class
from programs import Unavailable

__all__ = ["BASELINE", "TOLERANCE", "Cost", "Costs", "changes", "measure"]

BASELINE = Path(__file__).with_name("costs.json")
TOLERANCE = 0.02
CHANNELS = (32, 64)
UPDATE = "python tests/arm/costs.py --update"

_TILE_STAGES = ("lms", "head", "trunk", "tail", "quantise")
_TAPS = 9
_BANDS, _BLOCKS = 4, 4
"""Of driver.c."""


@dataclass(frozen=True)
class Cost:
    """One run of a stage; `simd` and `simd_memory` (loads and stores) are among the `instructions`."""

    instructions: int
    simd: int
    simd_memory: int
    cycles: Mapping[str, int]


@dataclass(frozen=True)
class Costs:
    """Costs by "stage/channels", and the tools that they depend on."""

    compiler: str
    llvm: str
    costs: Mapping[str, Cost]

    @classmethod
    def load(cls, path: Path) -> Costs:
        """The recorded costs."""
        value = json.loads(path.read_text())
        return cls(value["compiler"], value["llvm"], {k: Cost(**v) for k, v in value["costs"].items()})

    def save(self, path: Path) -> None:
        """Record them."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def measure(built: Build, models: Estimator | None) -> Costs:
    """All stages; without models, no cycles."""
    costs = {}
    for channels in CHANNELS:
        for stage in STAGES:
            blocks = executed(built, stage, channels)
            counts = dict.fromkeys(("simd", "simd_memory", "other"), 0.0)
            for block, runs in blocks.items():
                for word in block:
                    counts[instruction_class(word)] += runs
            cycles = models.cycles(blocks) if models else {}
            costs[f"{stage}/{channels}"] = Cost(
                round(sum(counts.values())),
                round(counts["simd"]),
                round(counts["simd_memory"]),
                {core: round(value) for core, value in cycles.items()},
            )
    return Costs(built.compiler, models.version if models else "none", costs)


def changes(before: Mapping[str, float], now: Mapping[str, float], unit: str) -> list[str]:
    """One line for each stage whose cost has moved by more than the tolerance, to the worse or the better."""
    lines = []
    for stage, recorded in before.items():
        change = now[stage] / recorded - 1
        if abs(change) > TOLERANCE:
            word = "MORE" if change > 0 else "fewer"
            lines.append(f"{stage}: {abs(change):.1%} {word} {unit} ({recorded:.0f} -> {now[stage]:.0f})")
    lines += [f"{stage}: not recorded yet" for stage in now.keys() - before.keys()]
    return [*lines, f"if that is meant: {UPDATE}"] if lines else []


def all_changes(before: Costs, now: Costs) -> list[str]:
    """Changes of instructions, and of cycles where the same models were used."""
    lines = changes(instructions(before), instructions(now), "instructions")
    for core in next(iter(now.costs.values())).cycles if before.llvm == now.llvm else ():
        lines += changes(cycles(before, core), cycles(now, core), f"cycles on {core}")
    return lines


def instructions(costs: Costs) -> dict[str, float]:
    """Executed instructions by stage."""
    return {stage: cost.instructions for stage, cost in costs.costs.items()}


def cycles(costs: Costs, core: str) -> dict[str, float]:
    """Cycles on a core by stage."""
    return {stage: cost.cycles[core] for stage, cost in costs.costs.items() if core in cost.cycles}


def macs(stage: str, channels: int) -> int:
    """Multiply-accumulates of a stage on the window: 1-bit ones, or for head and tail those of float32."""
    one = channels**2
    per_tap = {"convolve": one, "unit": one, "trunk": _BLOCKS * one, "tail": channels * _BANDS}
    per_tap["head"] = channels * (_BANDS + 1)
    return HEIGHT * WIDTH * _TAPS * per_tap.get(stage, 0)


def table(costs: Costs) -> Iterator[str]:
    """For people: per PAN pixel, and multiply-accumulates per cycle."""
    cores = list(next(iter(costs.costs.values())).cycles)
    yield f"{costs.compiler}; LLVM {costs.llvm}; window {WIDTH} x {HEIGHT} PAN pixels; per PAN pixel"
    heads = "".join(f"{core:>12}{'MAC/cycle':>10}" for core in cores)
    yield f"{'stage/channels':16}{'instructions':>13}{'SIMD':>9}{'SIMD memory':>12}{heads}"
    pixels = HEIGHT * WIDTH
    for name, cost in costs.costs.items():
        stage, channels = name.split("/")
        cells = "".join(
            f"{value / pixels:12.2f}" + _rate(macs(stage, int(channels)), value)
            for value in cost.cycles.values()
        )
        counts = (cost.instructions, cost.simd, cost.simd_memory)
        numbers = [f"{count / pixels:.2f}" for count in counts]
        yield f"{name:16}{numbers[0]:>13}{numbers[1]:>9}{numbers[2]:>12}{cells}"
    for channels in CHANNELS:
        parts = [costs.costs[f"{stage}/{channels}"] for stage in _TILE_STAGES]
        sums = [sum(part.cycles[core] for part in parts) / pixels for core in cores]
        total = sum(part.instructions for part in parts) / pixels
        yield f"{f'DN to DN/{channels}':16}{total:13.2f}{'':21}" + "".join(f"{s:12.2f}{'':10}" for s in sums)


def _rate(count: int, cycle_count: float) -> str:
    return f"{count / cycle_count:10.1f}" if count else f"{'':10}"


def main() -> int:
    """Exit status 1 if a cost has moved, 2 if a tool is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="record the present costs")
    sources = Path(__file__).resolve().parents[2] / "runtime" / "native"
    parser.add_argument("--sources", type=Path, default=sources, help="folder of the native engine")
    options: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            now = measure(build(options.sources, Path(folder)), estimator())
        except Unavailable as error:
            print(error, file=sys.stderr)
            return 2
    print("\n".join(table(now)))
    if options.update:
        now.save(BASELINE)
        return 0
    before = Costs.load(BASELINE)
    if before.compiler != now.compiler:
        print(f"not compared: recorded with {before.compiler}")
        return 1
    found = all_changes(before, now)
    print("\n".join(found or ["as recorded"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
