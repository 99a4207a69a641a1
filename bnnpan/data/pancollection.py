"""PanCollection files: patches that are cut, degraded and interpolated already.

HDF5 with `gt`, `lms`, `ms`, `pan` of shape `(n, channels, height, width)` in DN, PAN at the size of `gt`.
Files hold up to twenty thousand patches, so they are read patch by patch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from bnnpan.data.patches import Batch, turned
from bnnpan.data.sensors import find_sensor
from bnnpan.data.wald import mtf_filter
from bnnpan_runtime.errors import ConfigError

__all__ = ["PanCollection", "PhaseReport"]

log = logging.getLogger(__name__)

_SENSOR_TAGS = ("wv2", "wv3", "qb", "gf2")
_BIT_DEPTH = {"gf2": 10}  # all others have 11
_KEYS = ("pan", "lms", "gt", "ms")


@dataclass(frozen=True)
class PhaseReport:
    """Where the `ms` of a file was decimated, as found on some of its patches."""

    checked: int
    shifted: int
    phases: tuple[tuple[int, int], ...]
    """Best decimation phase (row, column) of each patch checked; (2, 2) at ratio 4 is right."""


class PanCollection:
    """One PanCollection file as a source of batches; sampling draws patches with replacement.

    Sensor and bit depth come from the file name (`train_wv3.h5`, `valid_gf2.h5`). Batches are in network
    units, DN / (2**bit_depth - 1). `flips` adds the eight flips and rotations. Raises `ConfigError` if the
    file cannot be opened, lacks a key, or its arrays do not fit together.
    """

    def __init__(
        self,
        path: str | Path,
        seed: int = 0,
        flips: bool = True,
    ) -> None:
        self.path = Path(path)
        tag = next((tag for tag in _SENSOR_TAGS if tag in self.path.stem.lower()), "")
        self.sensor = find_sensor(tag)
        self.bit_depth = _BIT_DEPTH.get(tag, 11)
        self._flips = flips
        self._random = np.random.default_rng(seed)
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ConfigError(f"{path} is no readable HDF5 ({error}): give a PanCollection file") from error
        self._check_layout()

    def _check_layout(self) -> None:
        missing = [key for key in _KEYS if key not in self._file]
        if missing:
            raise ConfigError(f"{self.path} has no {', '.join(missing)}: give a file with a ground truth")
        pan, lms, gt, ms = (self._file[key].shape for key in _KEYS)
        fits = pan == (gt[0], 1, *gt[2:]) and lms == gt and ms[:2] == gt[:2] and gt[2] % ms[2] == 0
        if not fits:
            raise ConfigError(
                f"{self.path}: pan {pan}, lms {lms}, gt {gt}, ms {ms} do not fit together: give another file"
            )
        self.bands = int(gt[1])
        self.ratio = int(gt[2] // ms[2])

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

    def sample(self, batch: int) -> Batch:
        """The next `batch` random patches."""
        patches = []
        for index in self._random.integers(len(self), size=batch):
            turn = self._random.random(3) < 0.5 if self._flips else np.zeros(3, bool)
            patches.append([turned(image, turn) for image in self._read(int(index))])
        pan, lms, gt = (np.stack(parts) for parts in zip(*patches, strict=True))
        return pan, lms, gt

    def state(self) -> dict[str, Any]:
        """The random state as a JSON-able value; after `set_state` the same batches follow."""
        return dict(self._random.bit_generator.state)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where `state()` was taken."""
        self._random.bit_generator.state = dict(state)

    def check_phase(self, patches: int = 32) -> PhaseReport:
        """Compare `ms` with the ground truth degraded at every decimation phase, on evenly spread patches.

        About two thirds of QuickBird's published training and validation patches are decimated a pixel
        off, so that their `lms` is shifted against `gt`. A shifted file is reported in the log; the remedy is
        to compute `ms` and `lms` anew from `gt`.
        """
        indices = np.unique(np.linspace(0, len(self) - 1, patches).astype(int))
        phases = tuple(self._phase(int(index)) for index in indices)
        right = (self.ratio // 2, self.ratio // 2)
        report = PhaseReport(len(phases), sum(phase != right for phase in phases), phases)
        if report.shifted:
            log.warning(
                "%s: %d of %d patches checked have `ms` off phase %s of `gt`: recompute ms and lms",
                self.path,
                report.shifted,
                report.checked,
                right,
            )
        return report

    def _read(self, index: int) -> list[NDArray[np.float32]]:
        scale = np.float32(2**self.bit_depth - 1)
        return [np.asarray(self._file[key][index], np.float32) / scale for key in ("pan", "lms", "gt")]

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
