"""What the board tells of itself under `/sys`, where it does: temperature and clock."""

from __future__ import annotations

from pathlib import Path

from bnnpan_runtime.telemetry.table import Value

__all__ = ["board_values"]

_SYS = Path("/sys")


def board_values(sys: Path = _SYS) -> dict[str, Value]:
    """Channels `temperature` (hottest zone, °C) and `clock` (slowest core, Hz), if the kernel has them."""
    values: dict[str, Value] = {}
    if millidegrees := _numbers(sys, "class/thermal/thermal_zone*/temp"):
        values["temperature"] = max(millidegrees) / 1000
    if kilohertz := _numbers(sys, "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"):
        values["clock"] = max(min(kilohertz), 0) * 1000
    return values


def _numbers(folder: Path, pattern: str) -> list[int]:
    found = []
    for path in folder.glob(pattern):
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # a sensor that is switched off answers with an error
            continue
    return found
