"""PanCollection files: patches that are cut, degraded and interpolated already.

Files hold up to twenty thousand patches, so they are read patch by patch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bnnpan.data.appearance import Bands, Images, band_units, in_units, pair_units
from bnnpan.data.batch import Arrays, Batch, stacked
from bnnpan.data.collection_file import FULL_KEYS, REDUCED_KEYS, bit_depth, layout, open_file, sensor_tag
from bnnpan.data.full_pairs import FullPair
from bnnpan.data.lms import interp23tap
from bnnpan.data.pairs import Pair
from bnnpan.data.patches import turned
from bnnpan.data.sensors import find_sensor
from bnnpan.data.wald import degrade_ms, mtf_filter, seen_by_ms
from bnnpan_runtime.contract import Units
from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.scene_units import SceneUnits

__all__ = ["PanCollection", "PhaseReport", "load_full_collection"]

log = logging.getLogger(__name__)

_HASHED_PATCHES = 64

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class PhaseReport:
    """Where the `ms` of a file was decimated, as found on some of its patches."""

    checked: int
    shifted: int
    phases: tuple[tuple[int, int], ...]
    """Best decimation phase (row, column) of each patch checked; (2, 2) at ratio 4 is right."""


class PanCollection:
    """One PanCollection file with ground truth as a source of batches; patches are drawn with replacement.

    Batches are in network units: DN / (2**bit_depth - 1), or with `units` "scene" those of each patch, which
    is all that a file tells about its scene. `flips` adds the eight flips and rotations. With `recompute`,
    `ms` and `lms` are made anew from `gt`, the cure for a shifted file (see `check_phase`).
    Raises `ConfigError` if the file cannot be opened, lacks a key, or its arrays do not fit together.
    """

    def __init__(
        self,
        path: str | Path,
        seed: int = 0,
        flips: bool = True,
        recompute: bool = False,
        units: Units = "bit_depth",
    ) -> None:
        self.path = Path(path)
        tag = sensor_tag(self.path)
        self.sensor = find_sensor(tag)
        self.bit_depth = bit_depth(tag)
        self._flips, self._recompute, self._units = flips, recompute, units
        self._random = np.random.default_rng(seed)
        self._file = open_file(self.path, REDUCED_KEYS)
        self.bands, self.ratio = layout(self.path, self._file, "gt")

    def __len__(self) -> int:
        """Number of patches in the file."""
        return int(self._file["gt"].shape[0])

    def __enter__(self) -> Self:
        """The open file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._file.close()

    def sample(self, batch: int) -> Arrays:
        """The next `batch` random patches."""
        patches = []
        for index in self._random.integers(len(self), size=batch):
            turn = self._random.random(3) < 0.5 if self._flips else np.zeros(3, bool)
            images, level, contrast = self._in_units(int(index))
            pan, lms, truth = (turned(image, turn) for image in images)
            patches.append(Batch(pan, lms, truth, level, contrast))
        return stacked(patches)

    def state(self) -> dict[str, Any]:
        """The random state as a JSON-able value; after `set_state` the same batches follow."""
        return dict(self._random.bit_generator.state)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where `state()` was taken."""
        self._random.bit_generator.state = dict(state)

    def pairs(self, bands: Sequence[str], most: int) -> list[Pair]:
        """Patches as pairs to validate on: all, or `most` evenly spread over the file. `bands` names them."""
        return [self._pair(int(index), tuple(bands)) for index in self._spread(most)]

    def digest(self) -> str:
        """SHA-256 of the layout and of 64 evenly spread patches: tells whether a file is still the same."""
        shapes = {key: self._file[key].shape for key in REDUCED_KEYS}
        digest = sha256(repr((shapes, self._recompute)).encode())
        for index in self._spread(_HASHED_PATCHES):
            for key in REDUCED_KEYS:
                digest.update(np.ascontiguousarray(self._file[key][int(index)]).data)
        return digest.hexdigest()

    def check_phase(self, patches: int = 32) -> PhaseReport:
        """Compare `ms` with the ground truth degraded at every decimation phase, on evenly spread patches.

        About two thirds of QuickBird's published training and validation patches are decimated a pixel
        off, so that their `lms` is shifted against `gt`. A shifted file is reported in the log, unless
        `ms` and `lms` are computed anew anyway.
        """
        phases = tuple(self._phase(int(index)) for index in self._spread(patches))
        right = (self.ratio // 2, self.ratio // 2)
        report = PhaseReport(len(phases), sum(phase != right for phase in phases), phases)
        if report.shifted and not self._recompute:
            log.warning(
                "%s: %d of %d patches checked have `ms` off phase %s of `gt`, so `lms` is shifted:"
                " set data.recompute_lms = true to make both anew",
                self.path,
                report.shifted,
                report.checked,
                right,
            )
        return report

    def _spread(self, most: int) -> NDArray[np.int64]:
        return np.unique(np.linspace(0, len(self) - 1, most).astype(np.int64))

    def _read(self, index: int) -> tuple[Float32, Float32, Float32, Float32]:
        """PAN, LMS, MS and ground truth of one patch in DN."""
        pan, lms, ms, gt = (np.asarray(self._file[key][index], np.float32) for key in REDUCED_KEYS)
        if self._recompute:
            exact = degrade_ms(gt, self.sensor.gains(self.bands), self.ratio)
            ms = exact.astype(np.float32)
            lms = interp23tap(exact, self.ratio).astype(np.float32)
        return pan, lms, ms, gt

    def _in_units(self, index: int) -> tuple[Images, Bands, Bands]:
        pair = self._pair(index, ())
        scene = self._units == "scene"
        units = pair_units(pair) if scene else SceneUnits.of_bit_depth(pair.dn_scale, self.bands)
        pan_low = seen_by_ms(pair.pan, self.ratio, pair.phase) if scene else None
        return in_units(units, pair.pan, pair.lms, pair.gt, pan_low), *band_units(units, pair.dn_scale)

    def _pair(self, index: int, bands: tuple[str, ...]) -> Pair:
        pan, lms, ms, gt = self._read(index)
        return Pair(
            name=f"{self.path.stem}_{index}",
            sensor=self.sensor.name,
            kind=self.path.stem,
            split="val",
            bands=bands,
            pan=pan,
            lms=lms,
            ms=ms,
            gt=gt,
            sharp=gt,
            valid=np.ones(gt.shape[1:], bool),
            dn_scale=float(2**self.bit_depth - 1),
            simulated_pan=False,
            lms_variants=np.empty((0, *gt.shape), np.float32),
            ms_variants=np.empty((0, *ms.shape), np.float32),
            phase="toolbox",
        )

    def _phase(self, index: int) -> tuple[int, int]:
        gt = np.asarray(self._file["gt"][index], np.float64)
        ms = np.asarray(self._file["ms"][index], np.float64)
        filtered = mtf_filter(gt, self.sensor.gains(self.bands), self.ratio)
        errors = {
            (row, column): float(np.square(filtered[:, row :: self.ratio, column :: self.ratio] - ms).mean())
            for row in range(self.ratio)
            for column in range(self.ratio)
        }
        return min(errors, key=errors.__getitem__)


def load_full_collection(path: str | Path, bands: Sequence[str]) -> list[FullPair]:
    """All images of a full-resolution file (`test_wv3_OrigScale_multiExm1.h5`), of bands so named.

    Raises `ConfigError` if the file cannot be opened, lacks a key, or its arrays or `bands` do not fit.
    """
    path = Path(path)
    tag = sensor_tag(path)
    with open_file(path, FULL_KEYS) as file:
        count, _ = layout(path, file, "lms")
        if count != len(bands):
            raise ConfigError(f"{path} has {count} bands, not {len(bands)} ({', '.join(bands)}): name each")
        images = [np.asarray(file[key], np.float64) for key in FULL_KEYS]
    return [
        FullPair(
            name=f"{path.stem}_{index}",
            sensor=find_sensor(tag).name,
            bands=tuple(bands),
            pan=pan,
            lms=lms,
            ms=ms,
            valid=np.ones(pan.shape[1:], bool),
            dn_scale=float(2 ** bit_depth(tag) - 1),
        )
        for index, (pan, lms, ms) in enumerate(zip(*images, strict=True))
    ]
