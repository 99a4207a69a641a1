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

__all__ = ["CORES", "Estimator", "estimator"]

_MC, _MCA = "llvm-mc-19", "llvm-mca-19"
"""The first release that knows an A76-class core; Debian 12 and Ubuntu 24.04 have it beside their own."""

_ITERATIONS = 100
_COVERED = 0.995
"""Share of the executed instructions in the blocks that are analysed; the rest costs as much on average."""


CORES = {
    "Cortex-A53": "cortex-a53",
    "Cortex-A55": "cortex-a55",
    "Cortex-A72": "cortex-a72",
    # To LLVM a Cortex-A76 is a Cortex-A57; Neoverse N1, derived from it, has tables of its own.
    "Cortex-A76": "neoverse-n1",
}
"""Cores, and the scheduling model that stands for each."""


@dataclass(frozen=True)
class Estimator:
    """llvm-mc and llvm-mca of one version."""

    version: str

    def cycles(self, blocks: Mapping[Block, float]) -> dict[str, float]:
        """Cycles that these executions take on each core: per block those of a loop over it."""
        hot = _hot(blocks)
        covered = _instructions(hot) / _instructions(blocks)
        text = "".join(
            f"# LLVM-MCA-BEGIN {index}\n{listing}# LLVM-MCA-END {index}\n"
            for index, listing in enumerate(_assembly(list(hot)))
        )
        return {core: self._analysed(core, text, list(hot.values())) / covered for core in CORES}

    def _analysed(self, core: str, text: str, runs: Sequence[float]) -> float:
        options = ("-mtriple=aarch64", f"-mcpu={CORES[core]}", f"-iterations={_ITERATIONS}", "-json")
        regions = json.loads(_run([_MCA, *options], text))["CodeRegions"]
        return sum(
            runs[int(region["Name"])] * region["SummaryView"]["TotalCycles"] / _ITERATIONS
            for region in regions
        )


def estimator() -> Estimator:
    """The installed one. Raises Unavailable."""
    for tool in (_MC, _MCA):
        find(tool)
    match = re.search(r"LLVM version (\d[\d.]*)", _run([_MCA, "--version"], ""))
    if match is None:
        raise Unavailable(f"{_MCA} does not tell its version")
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
    lines = _run([_MC, "-triple=aarch64", "-disassemble"], listing).splitlines(keepends=True)
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
