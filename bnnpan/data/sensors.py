"""Sensors as optics see them: the gain of the modulation transfer function (MTF) at the Nyquist frequency."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bnnpan_runtime.errors import ConfigError

__all__ = ["UNKNOWN", "Sensor", "find_sensor"]


@dataclass(frozen=True)
class Sensor:
    """A sensor's MTF gains at the Nyquist frequency of its own sampling grid.

    `ms_gains` holds one gain per band in the stored band order, or a single gain for all bands;
    `pan_gain` is the one of the PAN channel. Values: DLPan-Toolbox, `genMTF.m` and `MTF_PAN.m`.
    """

    name: str
    ms_gains: tuple[float, ...]
    pan_gain: float

    def gains(self, bands: int) -> tuple[float, ...]:
        """Gains of the first `bands` bands, as the toolbox assigns them.

        Raises `ConfigError` where the sensor lists fewer gains than that.
        """
        if len(self.ms_gains) == 1:
            return self.ms_gains * bands
        if bands > len(self.ms_gains):
            raise ConfigError(
                f"{self.name} has MTF gains for {len(self.ms_gains)} bands, not {bands}: name another sensor"
            )
        return self.ms_gains[:bands]


UNKNOWN = Sensor("none", (0.30,), 0.15)

# Full names match by their beginning ("WorldView-2 (SpaceNet 6)"), abbreviations only as a whole.
_BY_NAME = {
    "quickbird": Sensor("QuickBird", (0.34, 0.32, 0.30, 0.22), 0.15),
    "ikonos": Sensor("IKONOS", (0.26, 0.28, 0.29, 0.28), 0.17),
    "geoeye1": Sensor("GeoEye-1", (0.23,), 0.16),
    "worldview4": Sensor("WorldView-4", (0.23,), 0.16),
    "worldview2": Sensor("WorldView-2", (0.35,) * 7 + (0.27,), 0.11),
    "worldview3": Sensor("WorldView-3", (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315), 0.14),
}
_ABBREVIATIONS = {
    "qb": "quickbird",
    "ik": "ikonos",
    "ge1": "geoeye1",
    "wv2": "worldview2",
    "wv3": "worldview3",
    "wv4": "worldview4",
}


def find_sensor(name: str | Sensor) -> Sensor:
    """The sensor of that name in any usual spelling ("WorldView-3", "wv3", "GeoEye1").

    A sensor without published gains (Landsat, Sentinel-2, GaoFen-2, ...) gives `UNKNOWN`, the toolbox's
    default.
    """
    if isinstance(name, Sensor):
        return name
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    key = _ABBREVIATIONS.get(key, key)
    return next((sensor for start, sensor in _BY_NAME.items() if key.startswith(start)), UNKNOWN)
