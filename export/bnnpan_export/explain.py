"""What every pass did to a network: `bnnpan export --explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bnnpan.model import PanSharpener
from bnnpan_export.graph.cost import Cost
from bnnpan_export.graph.network import Network
from bnnpan_export.passes import PASSES, stages
from bnnpan_runtime.contract import FileEntry

__all__ = ["Step", "explain", "table"]

_CAPTURED = "the network as trained, in the pixel domain, statistics taken per image"


@dataclass(frozen=True)
class Step:
    """One pass: the network before and after it, by number of layers and by cost.

    exact   whether the same bits come out before and after, or the same but for rounding
    """

    name: str
    what: str
    exact: bool
    layers_before: int
    layers_after: int
    before: Cost
    after: Cost

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; sizes in bytes beside the bits."""
        sizes = {"bytes_before": self.before.size_bytes, "bytes_after": self.after.size_bytes}
        return {**asdict(self), **sizes}


def explain(model: PanSharpener) -> list[Step]:
    """Every pass on `model`, in order; the first is the capture, with the same network before and after.

    Raises `ConfigError` for a network that cannot be exported.
    """
    told = {step.name: (step.what, step.exact) for step in PASSES}
    steps: list[Step] = []
    before: Network | None = None
    for name, network in stages(model):
        what, exact = told.get(name, (_CAPTURED, True))
        previous = before or network
        sizes = (len(previous.layers), len(network.layers))
        steps.append(Step(name, what, exact, *sizes, previous.cost(), network.cost()))
        before = network
    return steps


def table(steps: list[Step], files: Mapping[str, FileEntry]) -> str:
    """Aligned text, a line per pass; what it changed is given as before -> after. Then the files."""
    lines = []
    for step in steps:
        same = "to the bit" if step.exact else "but for rounding"
        lines.append(f"{step.name}: {step.what}" + (f" (the same {same})" if step is not steps[0] else ""))
        lines += [f"    {label:<28} {change}" for label, change in _changes(step, step is steps[0])]
    lines.append("emit: the files of the bundle")
    lines += [f"    {name:<28} {entry.size_bytes} bytes" for name, entry in sorted(files.items())]
    return "\n".join(lines)


def _changes(step: Step, all_of_it: bool) -> Iterator[tuple[str, str]]:
    figures = {
        "layers": (step.layers_before, step.layers_after),
        "float MACs per PAN pixel": (step.before.float_macs, step.after.float_macs),
        "binary MACs per PAN pixel": (step.before.binary_macs, step.after.binary_macs),
        "other operations per pixel": (step.before.other, step.after.other),
        "full-precision parameters": (step.before.float_bits // 32, step.after.float_bits // 32),
        "bits of weight signs": (step.before.sign_bits, step.after.sign_bits),
        "bytes of all parameters": (step.before.size_bytes, step.after.size_bytes),
    }
    for label, (before, after) in figures.items():
        if all_of_it:
            yield label, f"{after:.0f}"
        elif before != after:
            yield label, f"{before:.0f} -> {after:.0f}"
