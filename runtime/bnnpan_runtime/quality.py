"""How good a product is, measured window by window in constant memory.

With a truth raster: ERGAS, SAM, PSNR and the RMSE per band. Without any truth two things can still be asked
of a product: reduced to the MS grid it should be the MS it was made from (Wald's consistency), and its fine
detail should be that of PAN. Plain interpolation of MS (LMS, true centres) is measured by the same rules next
to it. Pixels without data in any of the rasters are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.lowpass import gaussian_taps, reach, sample
from bnnpan_runtime.pieces import Piece, Rasters, open_rasters, read_piece, windows
from bnnpan_runtime.scene import SceneOptions
from bnnpan_runtime.scores import Agreement, Correlation, Scores

__all__ = ["MS_GAIN", "QualityReport", "measure"]

MS_GAIN = 0.3
"""Gain of the Gaussian low-pass between product and MS at the MS Nyquist frequency: typical of MS cameras."""

_IMAGES = ("fused", "interpolated")


@dataclass(frozen=True)
class QualityReport:
    """Figures of the product ("fused") and of plain interpolation ("interpolated").

    truth        against the truth, None without one
    consistency  reduced to the MS grid, against MS
    detail       correlation of each band's 3 x 3 Laplacian with that of PAN, mean over bands (Zhou, 1998)
    pixels       PAN pixels compared
    """

    truth: Mapping[str, Scores] | None
    consistency: Mapping[str, Scores]
    detail: Mapping[str, float | None]
    pixels: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "pixels": self.pixels,
            "truth": None if self.truth is None else _plain(self.truth),
            "consistency": _plain(self.consistency),
            "detail": {image: {"SCC": value} for image, value in self.detail.items()},
            "low_pass": f"Gaussian, gain {MS_GAIN} at the MS Nyquist frequency",
        }


def measure(
    pan: str,
    ms: str | Sequence[str],
    fused: str,
    truth: str | None = None,
    *,
    bit_depth: int = 11,
    options: SceneOptions = SceneOptions(),  # noqa: B008  # frozen
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QualityReport:
    """Judge the product `fused` of `pan` and `ms`, all paths of rasters.

    `options` are those that the product was made with. `bit_depth` of uint16 data sets the peak of PSNR;
    uint8 data have 8. Raises SceneError if the rasters cannot be read or do not belong together.
    """
    with open_rasters(pan, ms, fused, truth, options) as rasters:
        sums = _Sums(rasters)
        cores = windows(rasters)
        for done, core in enumerate(cores, 1):
            sums.add(read_piece(rasters, core, sums.halo))
            progress(done, len(cores))
        return sums.report(255 if rasters.fused.dtype == "uint8" else 2**bit_depth - 1)


class _Sums:
    """Everything that is collected over the pieces."""

    def __init__(self, rasters: Rasters) -> None:
        bands, ratio = rasters.fused.count, rasters.scene.grid.ratio
        self._rasters, self._ratio = rasters, ratio
        self._taps = gaussian_taps(MS_GAIN, ratio)
        self._reach = reach(self._taps, ratio)
        self.halo = self._reach + ratio
        self._truth = {image: Agreement(bands) for image in _IMAGES if rasters.truth}
        self._consistency = {image: Agreement(bands) for image in _IMAGES}
        self._detail = {image: Correlation(bands) for image in _IMAGES}
        self._pixels = 0

    def add(self, piece: Piece) -> None:
        """Count one piece."""
        inner = piece.inner(0)
        valid = piece.valid[inner]
        self._pixels += int(valid.sum())
        if piece.truth is not None:
            for image, sums in self._truth.items():
                sums.add(piece.images[image][:, *inner][:, valid], piece.truth[:, *inner][:, valid])
        self._add_detail(piece)
        self._add_consistency(piece)

    def report(self, peak: float) -> QualityReport:
        """Figures of everything counted. Raises SceneError if that was nothing."""
        if not self._pixels:
            raise SceneError(f"{self._rasters.fused.name}: no pixel has data in all rasters")
        truth = {image: sums.scores(self._ratio, peak) for image, sums in self._truth.items()}
        return QualityReport(
            truth=truth or None,
            consistency={image: sums.scores(self._ratio, peak) for image, sums in self._consistency.items()},
            detail={image: sums.mean() for image, sums in self._detail.items()},
            pixels=self._pixels,
        )

    def _add_detail(self, piece: Piece) -> None:
        rows, cols = piece.inner(1)
        if rows.stop <= rows.start or cols.stop <= cols.start:
            return
        around = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
        valid = _neighbourhood(np.logical_and, piece.valid[around])
        pan = _laplacian(piece.pan[around])[valid]
        for image, sums in self._detail.items():
            sums.add(_laplacian(piece.images[image][:, *around])[:, valid], pan)

    def _add_consistency(self, piece: Piece) -> None:
        """MS pixels that begin in the core and whose taps all lie on data inside the window.

        A PAN grid that begins inside an MS pixel is taken at the nearest whole PAN pixel, and so is a shift
        that the product was corrected for.
        """
        scene = self._rasters.scene
        ms_rows, ms_cols = scene.ms_shape
        first_row, rows, from_row = self._ms_range(
            (piece.core.row, piece.core.height),
            (piece.window.row, piece.window.height),
            scene.grid.row_offset,
            ms_rows,
        )
        first_col, cols, from_col = self._ms_range(
            (piece.core.col, piece.core.width),
            (piece.window.col, piece.window.width),
            scene.grid.col_offset,
            ms_cols,
        )
        if not rows or not cols:
            return
        ms = np.empty((scene.bands, rows, cols), scene.dtype)
        scene.read_ms(Window(first_row, first_col, rows, cols), ms)
        part = (self._footprint(from_row, rows), self._footprint(from_col, cols))
        valid = sample((~piece.valid[part]).astype(np.float32), self._taps, self._ratio) == 0
        if scene.ms_nodata is not None:
            valid &= (ms != scene.ms_nodata).all(axis=0)
        for image, sums in self._consistency.items():
            planes = piece.images[image][:, *part].astype(np.float32)
            reduced = np.stack([sample(plane, self._taps, self._ratio) for plane in planes])
            sums.add(reduced[:, valid], ms[:, valid])

    def _ms_range(
        self, core: tuple[int, int], window: tuple[int, int], offset: float, ms_length: int
    ) -> tuple[int, int, int]:
        """Along one axis: first MS pixel, how many, and where in the window the first one's taps begin.

        Core and window are their first PAN pixel and how many.

        MS pixel k begins at PAN pixel `ratio * k - offset` of the scene.
        """
        shift = round(offset)
        lowest = max(core[0], window[0] + self._reach)
        highest = min(sum(core) - 1, sum(window) - self._ratio - self._reach)
        # A shift may put the product where MS has no pixels.
        first = max(-(-(lowest + shift) // self._ratio), 0)
        end = min((highest + shift) // self._ratio + 1, ms_length)
        return first, max(end - first, 0), self._ratio * first - shift - self._reach - window[0]

    def _footprint(self, start: int, count: int) -> slice:
        return slice(start, start + self._ratio * count + 2 * self._reach)


def _laplacian(image: NDArray[Any]) -> NDArray[np.float32]:
    """Eight times each inner pixel less its eight neighbours; smaller by one pixel on every side."""
    values = image.astype(np.float32)
    return np.asarray(9 * values[..., 1:-1, 1:-1] - _neighbourhood(np.add, values), np.float32)


def _neighbourhood(combine: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    """Each inner pixel combined with its eight neighbours; smaller by one pixel on every side."""
    rows = combine(combine(values[..., :-2, :], values[..., 1:-1, :]), values[..., 2:, :])
    return np.asarray(combine(combine(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:]))


def _plain(scores: Mapping[str, Scores]) -> dict[str, Any]:
    return {image: value.to_json() for image, value in scores.items()}
