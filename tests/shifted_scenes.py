"""Scenes in memory whose MS lies where a test wants it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from bnnpan_runtime.contract import Window
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.registration import Shift, find_shift
from bnnpan_runtime.synth.capture import Scene as SyntheticScene

PAN_SIDE = 512
CLOSE = 0.1  # PAN pixels


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory; notes which PAN pixels are read."""

    pan: np.ndarray
    ms: np.ndarray
    pan_nodata: int | None = None
    ms_nodata: int | None = None

    @property
    def height(self) -> int:
        return self.pan.shape[0]

    @property
    def width(self) -> int:
        return self.pan.shape[1]

    @property
    def bands(self) -> int:
        return len(self.ms)

    @property
    def dtype(self) -> str:
        return str(self.ms.dtype)

    @property
    def ms_shape(self) -> tuple[int, int]:
        return self.ms.shape[1], self.ms.shape[2]

    def read_pan(self, window: Window, out: np.ndarray) -> None:
        assert min(window.row, window.col) >= 0
        out[...] = self.pan[window.row :, window.col :][: window.height, : window.width]

    def read_ms(self, window: Window, out: np.ndarray) -> None:
        assert min(window.row, window.col) >= 0
        out[...] = self.ms[:, window.row :, window.col :][:, : window.height, : window.width]


@cache
def synthetic(ratio: int = 4, bands: int = 4, bit_depth: int = 11, side: int = PAN_SIDE) -> ArrayScene:
    side = side // ratio * ratio
    shot = SyntheticScene(2, bands, ratio, bit_depth).shoot(0, 0, side, side)
    return ArrayScene(shot.pan, shot.ms)


def found(scene: ArrayScene, shift: tuple[float, float], ratio: int = 4) -> Shift:
    """What is found if the grids say that MS lies `shift` lower and further right than it does."""
    return find_shift(scene, Grid(ratio, -shift[0], -shift[1]), "centred")


def assert_found(result: Shift, shift: tuple[float, float], close: float = CLOSE) -> None:
    assert (result.row, result.col) == pytest.approx(shift, abs=close), result
