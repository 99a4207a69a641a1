"""A scene to fuse, at reduced resolution with its ground truth or at full resolution without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.full_pairs import FullPair
from bnnpan.data.pairs import Pair
from bnnpan.data.sensors import UNKNOWN, find_sensor
from bnnpan.metrics import full_resolution, reduced_resolution
from bnnpan_runtime.contract import Phase
from bnnpan_runtime.errors import SceneError

__all__ = ["Image", "Scene"]

Image = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scene:
    """Images in DN, `(bands, height, width)` unless stated, float32 or float64."""

    name: str
    sensor: str
    bands: tuple[str, ...]
    pan: Image
    """`(1, height, width)`."""
    lms: Image
    ms: Image
    """`(bands, height / ratio, width / ratio)`."""
    gt: Image | None
    """Ground truth; None at full resolution."""
    valid: NDArray[np.bool_]
    """`(height, width)`."""
    dn_scale: float
    phase: Phase
    """Where MS samples lie on the PAN grid."""
    simulated_pan: bool = False

    @classmethod
    def reduced(cls, pair: Pair, phase: Phase) -> Scene:
        """A pair with its ground truth."""
        images = (pair.pan, pair.lms, pair.ms, pair.gt)
        facts = (pair.valid, pair.dn_scale, phase, pair.simulated_pan)
        return cls(pair.name, pair.sensor, pair.bands, *images, *facts)

    @classmethod
    def full(cls, pair: FullPair, phase: Phase) -> Scene:
        """A real pair as it is."""
        images = (pair.pan, pair.lms, pair.ms)
        return cls(pair.name, pair.sensor, pair.bands, *images, None, pair.valid, pair.dn_scale, phase)

    @property
    def ratio(self) -> int:
        """MS pixel size over PAN pixel size."""
        return self.pan.shape[1] // self.ms.shape[1]

    @property
    def bit_depth(self) -> int:
        """Bits per DN."""
        return int(np.log2(self.dn_scale + 1))

    @property
    def resolution(self) -> str:
        """What it is scored by: "reduced" or "full"."""
        return "full" if self.gt is None else "reduced"

    @property
    def reference(self) -> Image:
        """What colours should be like: the ground truth, or the LMS where there is none."""
        return self.lms if self.gt is None else self.gt

    @property
    def sensor_name(self) -> str:
        """The sensor in short, to group scenes by."""
        known = find_sensor(self.sensor)
        return known.name if known is not UNKNOWN else self.sensor.partition(" (")[0] or "unknown"

    def score(self, fused: Image) -> dict[str, float]:
        """Every metric of this resolution, nodata left out. Raises `SceneError`."""
        try:
            if self.gt is not None:
                return reduced_resolution(self.gt, fused, self.ratio, self.bit_depth, self.valid)
            return full_resolution(self.pan, self.ms, fused, self.sensor, self.ratio, self.phase, self.valid)
        except SceneError as error:
            raise SceneError(f"{self.name}: {error}") from error

    def facts(self) -> dict[str, Any]:
        """What a reader must know about the scene, JSON-able."""
        return {
            "sensor": self.sensor,
            "bands": list(self.bands),
            "ratio": self.ratio,
            "bit_depth": self.bit_depth,
            "size": list(self.valid.shape),
            "valid_share": float(self.valid.mean()),
            "lms_phase": self.phase,
            "simulated_pan": self.simulated_pan,
        }
