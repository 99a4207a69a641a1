"""What can be looked into, and on what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OUTPUT", "Form", "Tile", "Values"]

OUTPUT = "output"
"""The tap behind "tail": HRMS."""

Values = dict[str, NDArray[Any]]
"""Taps by name, network units: "head" and "tail" `(C or bands, h, w)`, sub-bands `(C, h/2, w/2)`, HRMS."""


@dataclass(frozen=True)
class Tile:
    """One window in network units, and its scene: PAN `(1, h, w)`, LMS `(bands, h, w)`, affines `(N, 2, C)`.

    dn_per_unit   DN of one network unit, by band
    """

    name: str
    pan: NDArray[np.float32]
    lms: NDArray[np.float32]
    affines: NDArray[np.float32]
    dn_per_unit: NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """One form of a network: `look` gives what it computes on a tile, inside and at its end."""

    name: str
    look: Callable[[Tile], Values]
