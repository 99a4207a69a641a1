"""What registration found and did: a plain value for reports and tags."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["STEP", "Outcome", "Register", "Shift"]

_TAG = re.compile(r"row=(\S+) col=(\S+) \((applied|given)\)", re.ASCII)

STEP = 1 / 64
"""PAN pixels. A shift is applied in whole steps, far below what can be measured, so that the last bits of a
Fourier transform do not reach the product."""

Register = Literal["auto", "off"] | tuple[float, float]
"""What to do about the shift: measure and correct it, nothing, or correct a known one `(row, col)`."""

Outcome = Literal["applied", "negligible", "unsure", "implausible", "given", "off"]
"""applied      measured, and the interpolation corrects it
negligible   measured, and too small to be worth it or to be told from none
unsure       too few windows of the scene agree, or none can be measured
implausible  measured, and larger than a shift that interpolation corrects
given        not measured: the one that was asked for is corrected
off          not measured, nothing is corrected"""


@dataclass(frozen=True)
class Shift:
    """How far what the MS shows lies below and right of where the grids put it, in PAN pixels.

    outcome              what became of it
    row, col             the shift measured, medians over the windows that agree; None without one
    applied_row, ..._col the shift that is corrected, in whole steps of 1/64; 0 if none is
    spread               robust deviation of single windows, along the worse axis; None without a measurement
    sharpness            median height of their correlation peaks: 1 if PAN and MS agree at every frequency
    agreeing, windows    windows that agree with the median, of those measured
    """

    outcome: Outcome
    row: float | None = None
    col: float | None = None
    applied_row: float = 0.0
    applied_col: float = 0.0
    spread: float | None = None
    sharpness: float | None = None
    agreeing: int = 0
    windows: int = 0

    @property
    def is_applied(self) -> bool:
        """Whether the interpolation is any different from that of the grids."""
        return (self.applied_row, self.applied_col) != (0.0, 0.0)

    @property
    def tag(self) -> str:
        """What a product says of a shift that is applied: the very numbers."""
        return f"row={self.applied_row!r} col={self.applied_col!r} ({self.outcome})"

    @classmethod
    def of_tag(cls, tag: str) -> Shift:
        """The shift that was applied to a product of this tag. Raises ValueError."""
        if (words := _TAG.fullmatch(tag)) is None:
            raise ValueError("not rows, columns and why")
        row, col = float(words[1]), float(words[2])
        if not (math.isfinite(row) and math.isfinite(col)):
            raise ValueError("not finite")
        return cls("given", applied_row=row, applied_col=col)

    def describe(self) -> str:
        """One line for people."""
        if self.outcome == "given":
            return f"MS is moved by {self.applied_col:g},{self.applied_row:g} PAN pixels, as was asked for"
        if self.row is None or self.col is None:
            return f"cannot be measured: {self.agreeing} of {self.windows} windows agree; not corrected"
        what = {
            "applied": "corrected",
            "negligible": "too small to correct",
            "implausible": "too large to correct",
        }
        place = f"MS lies {self.col:+.2f},{self.row:+.2f} PAN pixels off (right, down)"
        return f"{place}, {self.agreeing} of {self.windows} windows agree; {what[self.outcome]}"
