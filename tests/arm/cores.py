"""Cycles of executed blocks on ARM cores, as LLVM's scheduling models have it (llvm-mca).

Data is taken to lie in the first-level cache and branches to be predicted: a lower bound, to compare kernels.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from arm.emulator import Block
from programs import Unavailable, find

__all__ = ["Core", "Estimator", "estimator"]

_ITERATIONS = 100
_COVERED = 0.995
"""Share of the executed instructions in the blocks that are analysed; the rest costs as much on average."""


@dataclass(frozen=True)
class Core:
    """A core, the model that stands for it, and the LLVM release from which on that model is its own."""

    model: str
    since: int


CORES = {
    "Cortex-A53": Core("cortex-a53", 1),
    "Cortex-A55": Core("cortex-a55", 12),
    # Both are one microarchitecture to LLVM.
    "Cortex-A72": Core("cortex-a72", 1),
    # To LLVM Cortex-A76 is a Cortex-A57; Neoverse N1, derived from it, has its own tables since release 19.
    "Cortex-A76": Core("neoverse-n1", 19),
}


@dataclass(frozen=True)
class Estimator:
    """llvm-mc and llvm-mca of one release."""

    version: str

    @property
    def cores(self) -> list[str]:
        """Those of `CORES` for which this release has a model."""
        release = int(self.version.split(".")[0])
        return [name for name, core in CORES.items() if release >= core.since]

    def cycles(self, blocks: Mapping[Block, float]) -> dict[str, float]:
        """Cycles that these executions take on each core: per block those of a loop over it."""
        hot = _hot(blocks)
        covered = _instructions(hot) / _instructions(blocks)
        text = "".join(
            f"# LLVM-MCA-BEGIN {index}\n{listing}# LLVM-MCA-END {index}\n"
            for index, listing in enumerate(_assembly(list(hot)))
        )
        return {core: self._analysed(core, text, list(hot.values())) / covered for core in self.cores}

    def _analysed(self, core: str, text: str, runs: Sequence[float]) -> float:
        options = ("-mtriple=aarch64", f"-mcpu={CORES[core].model}", f"-iterations={_ITERATIONS}", "-json")
        regions = json.loads(_run(["llvm-mca", *options], text))["CodeRegions"]
        return sum(
            runs[int(region["Name"])] * region["SummaryView"]["TotalCycles"] / _ITERATIONS
            for region in regions
        )


def estimator() -> Estimator:
    """The installed one. Raises Unavailable."""
    for tool in ("llvm-mc", "llvm-mca"):
        find(tool)
    match = re.search(r"LLVM version (\d[\d.]*)", _run(["llvm-mca", "--version"], ""))
    if match is None:
        raise Unavailable("llvm-mca does not tell its version")
    return Estimator(match[1])


def _instructions(blocks: Mapping[Block, float]) -> float:
    return sum(len(block) * runs for block, runs in blocks.items())


def _hot(blocks: Mapping[Block, float]) -> dict[Block, float]:
    """The blocks with most executed instructions, as many as it takes."""
    enough, chosen = _COVERED * _instructions(blocks), {}
    for block, runs in sorted(blocks.items(), key=lambda item: (-len(item[0]) * item[1], item[0])):
        chosen[block] = runs
        enough -= len(block) * runs
        if enough <= 0:
            break
    return chosen


def _assembly(blocks: Sequence[Block]) -> Iterator[str]:
    """Each block as text."""
    words = [int(word, 16).to_bytes(4, "little") for block in blocks for word in block]
    listing = "\n".join(" ".join(f"0x{byte:02x}" for byte in word) for word in words)
    lines = _run(["llvm-mc", "-triple=aarch64", "-disassemble"], listing).splitlines(keepends=True)
    instructions = [line for line in lines if not line.lstrip().startswith(".")]
    if len(instructions) != len(words):
        raise RuntimeError(f"llvm-mc knows {len(instructions)} of {len(words)} instructions")
    remaining = iter(instructions)
    for block in blocks:
        yield "".join(islice(remaining, len(block)))


def _run(command: Sequence[str], text: str) -> str:
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr[-2000:]}")
    return result.stdout
