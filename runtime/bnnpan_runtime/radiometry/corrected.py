"""A scene whose reads give corrected DN, so that nothing else has to know of raw ones."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.radiometry import Radiometry, read_radiometry
from bnnpan_runtime.scene import Scene

__all__ = ["CorrectedScene", "corrected", "correction_bytes"]


@dataclass(frozen=True)
class CorrectedScene(Scene):
    """An open scene of raw data, seen through the correction of its camera's detectors."""

    radiometry: Radiometry | None = None

    def read_pan(self, window: Window, out: NDArray[Any]) -> None:
        """Corrected PAN DN of a window into `out` `(height, width)`; beyond the scene its edge."""
        super().read_pan(window, out)
        if self.radiometry is None:
            return
        area = self.area
        rows = Window(area.row, 0, area.height, self.pan.width)

        def read_raw(part: Window, column: NDArray[Any]) -> None:
            """What lies beside the scene, too, if PAN goes on there."""
            self.pan.read(part, column[None], rows)

        in_pan = Window(window.row + area.row, window.col + area.col, window.height, window.width)
        shown = range(area.col, area.col + area.width)
        self.radiometry.correct_pan(out, in_pan, self.pan_nodata, read_raw, shown)

    def read_ms(self, window: Window, out: NDArray[Any]) -> None:
        """Corrected MS DN of a window into `out` `(bands, height, width)`; beyond the raster its edge."""
        super().read_ms(window, out)
        if self.radiometry is not None:
            self.radiometry.correct_ms(out, window, self.ms_nodata, super().read_ms)


def corrected(scene: Scene, calibration_file: str | os.PathLike[str]) -> CorrectedScene:
    """The scene, corrected by a calibration file for its camera. Raises SceneError.

    The file tells of all bands of the MS files, in their order there; the scene may take some, in another.
    """
    camera = read_radiometry(calibration_file, scene.pan.width, scene.ms.width, scene.file_bands)
    radiometry = replace(camera, ms=tuple(camera.ms[place] for place in scene.order))
    return CorrectedScene(**{f.name: getattr(scene, f.name) for f in fields(scene)}, radiometry=radiometry)


def correction_bytes(scene: Scene) -> int:
    """Memory that the correction takes while a window is read; 0 for a scene without."""
    if not isinstance(scene, CorrectedScene) or scene.radiometry is None:
        return 0
    return scene.radiometry.scratch_bytes
