"""A run in the words of the table: what each stage has to tell, so that the loop needs one line for it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import Signals
from typing import TYPE_CHECKING

from bnnpan_runtime.classical import METHOD
from bnnpan_runtime.errors import BnnpanError, one_line
from bnnpan_runtime.memory import peak_bytes, resident_bytes
from bnnpan_runtime.telemetry import table
from bnnpan_runtime.telemetry.board import board_values
from bnnpan_runtime.telemetry.emit import SILENT, Telemetry

if TYPE_CHECKING:
    from bnnpan_runtime.contract import FuseReport, Plan, Tile, Window
    from bnnpan_runtime.judging.hqnr import Hqnr
    from bnnpan_runtime.method import Method
    from bnnpan_runtime.registration.shift import Shift
    from bnnpan_runtime.scene import Scene
    from bnnpan_runtime.scene_units import SceneUnits
    from bnnpan_runtime.telemetry.table import Value

__all__ = ["Narrator", "telling_the_end"]

SECONDS_BETWEEN_SAMPLES = 1.0


class Narrator:
    """Tells the stages of one run; it counts tiles and pixels, and samples channels at most once a second."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self.telemetry = telemetry
        self._clock = clock
        self._tiles_begin_at = clock()
        self._sampled_at = -SECONDS_BETWEEN_SAMPLES
        self._tiles, self._pixels = 0, 0

    def started(self, product: object, pan: object, ms: object) -> None:
        """A run begins, with these programs and files."""
        import numpy
        from rasterio import __gdal_version__

        from bnnpan_runtime import __version__

        self.telemetry.emit(
            table.RUN_STARTED,
            version=__version__,
            product=str(product),
            pan=str(pan),
            ms=", ".join(map(str, ms)) if isinstance(ms, (tuple, list)) else str(ms),
            python=platform.python_version(),
            numpy=numpy.__version__,
            gdal=__gdal_version__,
            dictionary=table.DICTIONARY,
        )

    def prepared(self, method: Method, plan: Plan) -> None:
        """The scene is open, and it is settled what makes its product, and how."""
        self._opened(method)
        self._planned(plan)

    def _opened(self, method: Method) -> None:
        scene = method.scene
        self.telemetry.emit(
            table.SCENE_OPENED,
            height=scene.height,
            width=scene.width,
            bands=scene.bands,
            ratio=int(scene.grid.ratio),
            dtype=str(scene.dtype),
            roles=", ".join(role or "?" for role in scene.roles),
            pan_nodata="not declared" if scene.pan_nodata is None else str(scene.pan_nodata),
            ms_nodata="not declared" if scene.ms_nodata is None else str(scene.ms_nodata),
        )
        for note in scene.notes:
            self.telemetry.emit(table.SCENE_ASSUMED, note=note)
        self._registered(method.shift)
        self.telemetry.emit(
            table.METHOD_CHOSEN,
            method=method.name,
            backend=method.engine.name,
            isa=method.engine.isa,
            bundle=method.tags.get("BNNPAN_BUNDLE", "none"),
            manifest_sha256=method.tags.get("BNNPAN_MANIFEST_SHA256", "none"),
        )
        if method.fallback_reason is not None:
            self.telemetry.emit(table.NETWORK_REFUSED, method=method.name, reason=method.fallback_reason)

    def _registered(self, shift: Shift) -> None:
        outcome: dict[str, Value] = {
            "applied_row": shift.applied_row,
            "applied_col": shift.applied_col,
            "agreeing": shift.agreeing,
            "windows": shift.windows,
            "outcome": shift.outcome,
        }
        if shift.row is None or shift.col is None:
            self.telemetry.emit(table.SHIFT_NOT_MEASURED, **outcome)
        else:
            self.telemetry.emit(table.SHIFT_FOUND, row=shift.row, col=shift.col, **outcome)

    def _planned(self, plan: Plan) -> None:
        for term, size_bytes in plan.terms.items():
            self.telemetry.emit(table.PLAN_TERM, term=term, bytes=int(size_bytes))
        self.telemetry.emit(
            table.PLAN_MADE,
            tiles=plan.tiles,
            tile=plan.tile,
            halo=plan.halo,
            threads=plan.threads,
            gdal_cache_bytes=plan.gdal_cache_bytes,
            predicted_peak_bytes=plan.predicted_peak_bytes,
            smallest_budget_bytes=plan.smallest_budget_bytes,
            budget_bytes=plan.budget_bytes,
        )

    def calibrated(self, units: SceneUnits) -> None:
        """What calibration found."""
        self.telemetry.emit(table.CALIBRATED, pan_offset=units.pan_offset, pan_scale=units.pan_scale)
        of_bands = zip(units.ms_offset, units.ms_scale, units.injected, strict=True)
        for band, (offset, scale, injected) in enumerate(of_bands, 1):
            self.telemetry.emit(
                table.BAND_CALIBRATED,
                band=band,
                ms_offset=offset,
                ms_scale=scale,
                injected=injected,
            )

    def resumed(self, scene: Scene, plan: Plan, is_done: Callable[[Window], bool]) -> int:
        """Tiles that an interrupted run has finished, if there are any; how many."""
        from bnnpan_runtime.tiles import tiles

        self._tiles = sum(
            is_done(tile.core) for tile in tiles(scene.height, scene.width, plan.tile, plan.halo)
        )
        self._tiles_begin_at = self._clock()
        if self._tiles:
            self.telemetry.emit(table.RESUMED, tiles_kept=self._tiles)
        return self._tiles

    def written(self, tile: Tile, skipped: bool, under_way: int, scrubs: int) -> None:
        """A tile is in the product; so many others are under way, and memory was checked so often."""
        core = tile.core
        self.telemetry.emit(
            table.TILE_SKIPPED if skipped else table.TILE_DONE,
            tile=tile.index,
            row=core.row,
            col=core.col,
            height=core.height,
            width=core.width,
        )
        self._tiles += 1
        self._pixels += core.height * core.width
        self._sample(under_way, scrubs)

    def judged(self, scene: Scene, plan: Plan) -> Callable[[Window, Hqnr, bool], None]:
        """What tells that a block of the product was judged: its area, its figures, whether it fails."""
        across = -(-scene.width // plan.tile)
        return lambda area, figures, fails: self._judged(
            area, figures, fails, area.row // plan.tile * across + area.col // plan.tile
        )

    def _judged(self, area: Window, figures: Hqnr, fails: bool, tile: int) -> None:
        self.telemetry.emit(
            table.BLOCK_JUDGED,
            d_lambda=figures.d_lambda,
            d_s=figures.d_s,
            hqnr=figures.hqnr,
            row=area.row,
            col=area.col,
            height=area.height,
            width=area.width,
        )
        if fails:
            self.telemetry.emit(
                table.TILE_FELL_BACK,
                tile=tile,
                method=METHOD,
                reason=f"HQNR {figures.hqnr:.4f} is too low, of {area.height} x {area.width} pixels at row"
                f" {area.row}, column {area.col}",
            )

    def out_of_time(self, seconds: float, tiles: int, missing: int) -> None:
        """The deadline ends the run before all of its tiles are done."""
        self.telemetry.emit(
            table.DEADLINE_REACHED, seconds=seconds, tiles_done=tiles - missing, tiles_missing=missing
        )

    def committed(self, report: FuseReport) -> None:
        """The product has its name; if a deadline has come, it is not complete."""
        if report.measured_peak_bytes > report.budget_bytes:
            self.telemetry.emit(
                table.BUDGET_EXCEEDED,
                measured_peak_bytes=report.measured_peak_bytes,
                budget_bytes=report.budget_bytes,
                predicted_peak_bytes=report.predicted_peak_bytes,
            )
        if report.saturated_pixels is not None:
            self.telemetry.emit(table.SATURATED, pixels=report.saturated_pixels, pan_pixels=report.pan_pixels)
        quality = report.quality
        if quality is not None:
            found = (quality.d_lambda, quality.d_s, quality.hqnr)
            d_lambda, d_s, hqnr = (float("nan") if figure is None else figure for figure in found)
            self.telemetry.emit(
                table.QUALITY_FOUND,
                d_lambda=d_lambda,
                d_s=d_s,
                hqnr=hqnr,
                blocks=quality.blocks,
                blocks_fell_back=quality.blocks_fell_back,
            )
        if report.missing_tiles:
            return
        self.telemetry.emit(
            table.PRODUCT_COMMITTED,
            product=report.product,
            sha256=report.product_sha256,
            seconds=report.seconds,
            tiles_skipped=report.skipped_tiles,
            tiles_resumed=report.resumed_tiles,
            peak_bytes=report.measured_peak_bytes,
        )

    def _sample(self, under_way: int, scrubs: int) -> None:
        now = self._clock()
        if self.telemetry is SILENT or now - self._sampled_at < SECONDS_BETWEEN_SAMPLES:
            return
        self._sampled_at = now
        elapsed = now - self._tiles_begin_at
        self.telemetry.sample(
            tiles_done=self._tiles,
            tiles_under_way=under_way,
            pixels_per_second=self._pixels / elapsed if elapsed else 0.0,
            resident_bytes=resident_bytes(),
            peak_bytes=peak_bytes(),
            scrubs=scrubs,
            **board_values(),
        )


@contextmanager
def telling_the_end(telemetry: Telemetry) -> Iterator[None]:
    """Tell why a run ends before its product is complete; what ended it goes on its way."""
    try:
        yield
    except BnnpanError as error:
        _tell_failure(telemetry, error.exit_code, error)
        raise
    except KeyboardInterrupt:
        telemetry.emit(table.SIGNALLED, number=int(Signals.SIGINT), name=Signals.SIGINT.name)
        raise
    except SystemExit as error:  # how the command line unwinds at a signal: 128 + its number
        number = error.code - 128 if isinstance(error.code, int) else 0
        if number in {signal.value for signal in Signals}:
            telemetry.emit(table.SIGNALLED, number=number, name=Signals(number).name)
        raise
    except Exception as error:
        _tell_failure(telemetry, 1, error)
        raise


def _tell_failure(telemetry: Telemetry, exit_code: int, error: Exception) -> None:
    telemetry.emit(table.FAILED, exit_code=exit_code, kind=type(error).__name__, message=one_line(error))
