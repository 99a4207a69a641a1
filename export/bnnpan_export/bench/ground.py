"""What the ground side adds to `bnnpan bench`: the entry point of its group `bnnpan.bench`."""

from __future__ import annotations

from collections.abc import Sequence

from bnnpan_export.bench.bundles import random_bundle
from bnnpan_export.bench.litert import LiteRtFloat
from bnnpan_export.bench.onnx_int8 import convolutions_only, quantised
from bnnpan_export.bench.onnx_parts import PartsCompetitor
from bnnpan_export.bench.onnx_session import GraphBackend
from bnnpan_export.bench.pytorch import PyTorchBackend
from bnnpan_runtime.bench.contest import Competitor
from bnnpan_runtime.bench.engines import BackendCompetitor
from bnnpan_runtime.bench.network import Network
from bnnpan_runtime.bundle import Bundle

__all__ = ["SIDE"]


class _Ground:
    """A `bnnpan_runtime.bench.ground.GroundSide`."""

    def competitors(self) -> Sequence[Competitor]:
        """Parts of the ONNX graph by themselves, 8-bit versions of it, and other frameworks."""
        return [
            PartsCompetitor("onnx", kernels=False),
            PartsCompetitor("onnx-kernels", kernels=True),
            BackendCompetitor("onnx-int8", lambda bundle: GraphBackend(quantised(bundle))),
            BackendCompetitor(
                "onnx-int8-convolutions",
                lambda bundle: GraphBackend(convolutions_only(bundle.manifest.network)),
                stages=("graph",),
            ),
            BackendCompetitor("pytorch", PyTorchBackend),
            BackendCompetitor("litert-float", LiteRtFloat),
        ]

    def bundle(self, like: Network, channels: int) -> Bundle:
        """Another width of the network with random weights, with all graphs that can be made here."""
        return random_bundle(like.graphs.manifest, channels)


SIDE = _Ground()
