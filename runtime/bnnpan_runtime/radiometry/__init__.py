"""Radiometric correction of raw camera data, inside the reads of the tiles: no pass and no copy of its own.

Everything after it sees DN as if the camera had delivered them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.radiometry.calibration_file import read_lines
from bnnpan_runtime.radiometry.levels import Levels, Plane
from bnnpan_runtime.radiometry.line import STRIP_PIXELS, Line, ReadRaw

__all__ = ["Radiometry", "read_radiometry"]

ReadBands = Callable[[Window, NDArray[Any]], None]
"""Fills `(bands, height, width)` with raw DN."""

_STRIP_BYTES_PER_PIXEL = 16
"""Float images and masks of a strip that are held at the same time."""


@dataclass(frozen=True)
class Radiometry:
    """The detectors of a camera. `sha256` is that of the file they are described in."""

    pan: Line
    ms: tuple[Line, ...]
    sha256: str

    def correct_pan(
        self, dn: Plane, window: Window, nodata: float | None, read_raw: ReadRaw, shown: range | None = None
    ) -> None:
        """Turn raw PAN `(height, width)` of a window into DN, in place; `read_raw` reads more of it.

        Beyond the columns `shown`, all if None, the window repeats the outermost of them.
        """
        self.pan.correct(dn, window, nodata, read_raw, shown)

    def correct_ms(self, dn: NDArray[Any], window: Window, nodata: float | None, read_raw: ReadBands) -> None:
        """Turn raw MS `(bands, height, width)` of a window into DN, in place; `read_raw` reads more of it."""

        def reader(band: int) -> ReadRaw:
            def read(part: Window, out: Plane) -> None:
                every = np.empty((len(self.ms), part.height, part.width), out.dtype)
                read_raw(part, every)
                out[...] = every[band]

            return read

        for band, (line, plane) in enumerate(zip(self.ms, dn, strict=True)):
            line.correct(plane, window, nodata, reader(band))

    def levels(
        self, dtype: np.dtype[Any], pan_nodata: float | None, ms_nodata: float | None
    ) -> tuple[Levels, tuple[Levels, ...]]:
        """What corrected DN of PAN and of each MS band mean: which are saturated."""
        return self.pan.levels(dtype, pan_nodata), tuple(line.levels(dtype, ms_nodata) for line in self.ms)

    @property
    def scratch_bytes(self) -> int:
        """Memory that correcting a window takes for a moment, whatever its size, but for dead columns."""
        return _STRIP_BYTES_PER_PIXEL * STRIP_PIXELS


def read_radiometry(
    path: str | os.PathLike[str], pan_columns: int, ms_columns: int, bands: int
) -> Radiometry:
    """Read a calibration file, described in `calibration_file`, for rasters of these sizes.

    Raises SceneError.
    """
    pan, ms, content = read_lines(path, pan_columns, ms_columns, bands)
    return Radiometry(pan, ms, hashlib.sha256(content).hexdigest())
