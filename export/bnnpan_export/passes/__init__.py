"""The passes from a trained network to the one that flies, in their order. `emit` then writes it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bnnpan.model import PanSharpener
from bnnpan_export.graph.network import Network
from bnnpan_export.passes.capture import capture
from bnnpan_export.passes.fold import fold_affines
from bnnpan_export.passes.pack import pack_bits
from bnnpan_export.passes.scene_statistics import freeze_scene_statistics
from bnnpan_export.passes.threshold import fold_thresholds
from bnnpan_export.passes.wavelet import rewrite_in_wavelet_domain

__all__ = ["PASSES", "Pass", "lowered", "stages"]


@dataclass(frozen=True)
class Pass:
    """A function from one network to an equal one.

    exact   the same bits come out before and after; else the same but for the rounding of floats
    """

    name: str
    run: Callable[[Network], Network]
    what: str
    exact: bool


PASSES = (
    Pass(
        "freeze scene statistics",
        freeze_scene_statistics,
        "prior, LDPC and CDC are computed once per scene; blocks take an affine instead",
        exact=False,
    ),
    Pass("fold affines", fold_affines, "weights become signs and a scale; lambda its inverse", exact=True),
    Pass(
        "wavelet-domain rewrite",
        rewrite_in_wavelet_domain,
        "affines act on sub-bands; inverse and transform between blocks cancel",
        exact=False,
    ),
    Pass("fold thresholds", fold_thresholds, "shift and sign become one comparison", exact=True),
    Pass("pack bits", pack_bits, "a bit per weight, 32 inputs to a word", exact=True),
)
"""What follows `capture`."""


def stages(model: PanSharpener) -> Iterator[tuple[str, Network]]:
    """The network after capture and after every pass, by the name of what made it."""
    network = capture(model)
    yield "capture", network
    for step in PASSES:
        network = step.run(network)
        yield step.name, network


def lowered(model: PanSharpener) -> Network:
    """The network after the last pass. Raises `ConfigError` for one that no engine can run."""
    *_, (_, network) = stages(model)
    return network
