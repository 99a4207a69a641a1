"""The dictionary of a run: every event and channel, declared once.

From this table come the JSON lines, the space packets and how they are read again, the reference page
`docs/telemetry.md`, and what the progress bar and the heartbeat listen to. The form follows F Prime's
components: an *event* happens once and has a severity, a format and arguments; a *channel* has a value at any
time and is sampled.

Ids, names, types and the order of arguments are an interface: entries may be added, and arguments at an
entry's end, with a new `DICTIONARY`; none is renamed, retyped or used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

__all__ = ["CHANNELS", "DICTIONARY", "EVENTS", "Argument", "Channel", "Event", "Kind", "Severity", "Value"]

DICTIONARY = 2
"""Version of this table; the first event of a run tells it."""

Value = int | float | str
Kind = Literal["u8", "u16", "u32", "u64", "f64", "text"]
"""Unsigned integers by their bits, IEEE 754 double precision, UTF-8 text."""


class Severity(IntEnum):
    """F Prime's, with its numbers, less the one for commands."""

    FATAL = 1
    WARNING_HIGH = 2
    WARNING_LOW = 3
    ACTIVITY_HIGH = 5
    ACTIVITY_LOW = 6
    DIAGNOSTIC = 7


@dataclass(frozen=True)
class Argument:
    """One value of an event; without a unit it is a count, a number or text."""

    name: str
    kind: Kind
    unit: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happens; `form` is a format string over the arguments' names."""

    id: int
    name: str
    severity: Severity
    form: str
    arguments: tuple[Argument, ...] = ()

    def message(self, **values: Value) -> str:
        """The event in words."""
        return self.form.format_map(values)


@dataclass(frozen=True)
class Channel:
    """A quantity that is sampled, at most about once a second."""

    id: int
    name: str
    kind: Kind
    unit: str
    meaning: str


def _text(*names: str) -> tuple[Argument, ...]:
    return tuple(Argument(name, "text") for name in names)


def _count(*names: str) -> tuple[Argument, ...]:
    return tuple(Argument(name, "u32") for name in names)


def _size(*names: str) -> tuple[Argument, ...]:
    return tuple(Argument(name, "u64", "bytes") for name in names)


_TILE = _count("tile")
_SECONDS = Argument("seconds", "f64", "s")
_PIXELS = tuple(Argument(name, "u32", "PAN pixels") for name in ("row", "col", "height", "width"))

# The run: 0x01__

RUN_STARTED = Event(
    0x0101,
    "run_started",
    Severity.ACTIVITY_HIGH,
    "bnnpan-runtime {version} starts {product} from {pan} and {ms}"
    " (Python {python}, numpy {numpy}, GDAL {gdal}, dictionary {dictionary})",
    (*_text("version", "product", "pan", "ms", "python", "numpy", "gdal"), Argument("dictionary", "u16")),
)
SCENE_OPENED = Event(
    0x0102,
    "scene_opened",
    Severity.ACTIVITY_HIGH,
    "scene of {height} x {width} PAN pixels, {bands} bands of {dtype} at ratio {ratio}: {roles};"
    " NoData of PAN {pan_nodata}, of MS {ms_nodata}",
    (
        *(Argument(name, "u32", "PAN pixels") for name in ("height", "width")),
        *_count("bands", "ratio"),
        *_text("dtype", "roles", "pan_nodata", "ms_nodata"),
    ),
)
SCENE_ASSUMED = Event(
    0x010A, "scene_assumed", Severity.ACTIVITY_LOW, "about the scene: {note}", _text("note")
)
SHIFT_FOUND = Event(
    0x010B,
    "shift_found",
    Severity.ACTIVITY_HIGH,
    "MS lies {row:.3f}, {col:.3f} PAN pixels off (down, right), {agreeing} of {windows} windows agree;"
    " corrected are {applied_row:.3f}, {applied_col:.3f}: {outcome}",
    (
        *(Argument(name, "f64", "PAN pixels") for name in ("row", "col", "applied_row", "applied_col")),
        *_count("agreeing", "windows"),
        *_text("outcome"),
    ),
)
SHIFT_NOT_MEASURED = Event(
    0x010C,
    "shift_not_measured",
    Severity.ACTIVITY_HIGH,
    "the shift between PAN and MS is not measured, {agreeing} of {windows} windows agree; corrected are"
    " {applied_row:.3f}, {applied_col:.3f} PAN pixels (down, right): {outcome}",
    (
        *(Argument(name, "f64", "PAN pixels") for name in ("applied_row", "applied_col")),
        *_count("agreeing", "windows"),
        *_text("outcome"),
    ),
)
METHOD_CHOSEN = Event(
    0x0103,
    "method_chosen",
    Severity.ACTIVITY_HIGH,
    "{method} on {backend} ({isa}), bundle {bundle}, manifest {manifest_sha256}",
    _text("method", "backend", "isa", "bundle", "manifest_sha256"),
)
NETWORK_REFUSED = Event(
    0x0104,
    "network_refused",
    Severity.WARNING_HIGH,
    "the network is refused, {method} makes the product: {reason}",
    _text("method", "reason"),
)
PLAN_TERM = Event(
    0x0105,
    "plan_term",
    Severity.ACTIVITY_LOW,
    "plan: {bytes} bytes for {term}",
    (*_text("term"), *_size("bytes")),
)
PLAN_MADE = Event(
    0x0106,
    "plan_made",
    Severity.ACTIVITY_HIGH,
    "plan: {tiles} tiles of {tile} pixels with halo {halo}, {threads} threads, peak {predicted_peak_bytes} of"
    " {budget_bytes} bytes",
    (
        *_count("tiles"),
        *(Argument(name, "u32", "PAN pixels") for name in ("tile", "halo")),
        *_count("threads"),
        *_size("gdal_cache_bytes", "predicted_peak_bytes", "smallest_budget_bytes", "budget_bytes"),
    ),
)
CALIBRATED = Event(
    0x0107,
    "calibrated",
    Severity.ACTIVITY_HIGH,
    "calibrated: PAN offset {pan_offset:.6g} DN, scale {pan_scale:.6g} DN",
    tuple(Argument(name, "f64", "DN") for name in ("pan_offset", "pan_scale")),
)
BAND_CALIBRATED = Event(
    0x0108,
    "band_calibrated",
    Severity.ACTIVITY_LOW,
    "band {band}: offset {ms_offset:.6g} DN, scale {ms_scale:.6g} DN, injected {injected:.4f}",
    (
        *_count("band"),
        *(Argument(name, "f64", "DN") for name in ("ms_offset", "ms_scale")),
        Argument("injected", "f64"),
    ),
)
RESUMED = Event(
    0x0109,
    "resumed",
    Severity.ACTIVITY_HIGH,
    "an interrupted run is continued: {tiles_kept} tiles are kept",
    _count("tiles_kept"),
)

# Tiles: 0x02__

TILE_DONE = Event(
    0x0201,
    "tile_done",
    Severity.DIAGNOSTIC,
    "tile {tile} is written: {height} x {width} pixels at row {row}, column {col}",
    (*_TILE, *_PIXELS),
)
TILE_SKIPPED = Event(
    0x0202,
    "tile_skipped",
    Severity.DIAGNOSTIC,
    "tile {tile} has no data: {height} x {width} pixels at row {row}, column {col}",
    (*_TILE, *_PIXELS),
)
TILE_REDONE = Event(
    0x0203,
    "tile_redone",
    Severity.WARNING_LOW,
    "tile {tile} is computed again: {reason}",
    (*_TILE, *_text("reason")),
)
TILE_FELL_BACK = Event(
    0x0204,
    "tile_fell_back",
    Severity.WARNING_LOW,
    "tile {tile} is made by {method}: {reason}",
    (*_TILE, *_text("method", "reason")),
)
TILE_UNRELIABLE = Event(
    0x0205,
    "tile_unreliable",
    Severity.WARNING_HIGH,
    "tile {tile} cannot be trusted: {reason}",
    (*_TILE, *_text("reason")),
)
DEADLINE_REACHED = Event(
    0x0206,
    "deadline_reached",
    Severity.WARNING_HIGH,
    "the deadline of {seconds:.1f} s ends the run with {tiles_done} tiles done, {tiles_missing} are missing",
    (_SECONDS, *_count("tiles_done", "tiles_missing")),
)

BLOCK_JUDGED = Event(
    0x0207,
    "block_judged",
    Severity.DIAGNOSTIC,
    "HQNR {hqnr:.4f} (D_lambda {d_lambda:.4f}, D_s {d_s:.4f}) of {height} x {width} pixels at row {row},"
    " column {col}",
    (*(Argument(name, "f64") for name in ("d_lambda", "d_s", "hqnr")), *_PIXELS),
)

# Integrity: 0x03__

SELF_TEST_PASSED = Event(
    0x0301,
    "self_test_passed",
    Severity.ACTIVITY_LOW,
    "the golden tile comes out right after {tiles_done} tiles",
    _count("tiles_done"),
)
SELF_TEST_FAILED = Event(
    0x0302,
    "self_test_failed",
    Severity.WARNING_HIGH,
    "the golden tile comes out wrong after {tiles_done} tiles: {detail}",
    (*_count("tiles_done"), *_text("detail")),
)
MEMORY_DAMAGED = Event(
    0x0303,
    "memory_damaged",
    Severity.WARNING_HIGH,
    "memory has changed that never should: {region}",
    _text("region"),
)
MEMORY_REPAIRED = Event(
    0x0304,
    "memory_repaired",
    Severity.ACTIVITY_HIGH,
    "repaired from {source}: {region}",
    _text("region", "source"),
)
RESULTS_DIFFER = Event(
    0x0305,
    "results_differ",
    Severity.WARNING_HIGH,
    "tile {tile} came out differently when computed again",
    _TILE,
)

# The end: 0x04__

PRODUCT_COMMITTED = Event(
    0x0401,
    "product_committed",
    Severity.ACTIVITY_HIGH,
    "{product} is complete after {seconds:.1f} s: {sha256}",
    (*_text("product", "sha256"), _SECONDS, *_count("tiles_skipped", "tiles_resumed"), *_size("peak_bytes")),
)
BUDGET_EXCEEDED = Event(
    0x0402,
    "budget_exceeded",
    Severity.WARNING_HIGH,
    "the run took {measured_peak_bytes} bytes at its peak, the budget was {budget_bytes}, predicted were"
    " {predicted_peak_bytes}",
    _size("measured_peak_bytes", "budget_bytes", "predicted_peak_bytes"),
)
WARNED = Event(
    0x0403,
    "warned",
    Severity.WARNING_LOW,
    "{source}: {message}",
    _text("source", "message"),
)
FAILED = Event(
    0x0404,
    "failed",
    Severity.FATAL,
    "exit code {exit_code}, {kind}: {message}",
    (Argument("exit_code", "u8"), *_text("kind", "message")),
)
SIGNALLED = Event(
    0x0405,
    "signalled",
    Severity.WARNING_HIGH,
    "stopped by {name} (signal {number})",
    (Argument("number", "u8"), *_text("name")),
)
SATURATED = Event(
    0x0406,
    "saturated",
    Severity.ACTIVITY_HIGH,
    "{pixels} of the {pan_pixels} pixels of the product come from saturated ones, less those of kept tiles",
    tuple(Argument(name, "u64", "PAN pixels") for name in ("pixels", "pan_pixels")),
)

QUALITY_FOUND = Event(
    0x0407,
    "quality_found",
    Severity.ACTIVITY_HIGH,
    "HQNR {hqnr:.4f} (D_lambda {d_lambda:.4f}, D_s {d_s:.4f}) over {blocks} blocks, of which"
    " {blocks_fell_back} were made again by the classical method",
    (
        *(Argument(name, "f64") for name in ("d_lambda", "d_s", "hqnr")),
        *_count("blocks", "blocks_fell_back"),
    ),
)

# Channels: 0x08__

TILES_DONE = Channel(0x0801, "tiles_done", "u32", "tiles", "written so far, with those kept and skipped")
TILES_UNDER_WAY = Channel(0x0802, "tiles_under_way", "u32", "tiles", "read, not yet written")
PIXELS_PER_SECOND = Channel(
    0x0803, "pixels_per_second", "f64", "PAN pixels/s", "since the first tile was begun"
)
RESIDENT_BYTES = Channel(0x0804, "resident_bytes", "u64", "bytes", "resident set of the process (VmRSS)")
PEAK_BYTES = Channel(0x0805, "peak_bytes", "u64", "bytes", "largest resident set so far (VmHWM)")
TEMPERATURE = Channel(0x0806, "temperature", "f64", "°C", "hottest thermal zone, where the board has any")
CLOCK = Channel(0x0807, "clock", "u64", "Hz", "slowest processor core, where the board tells")
SCRUBS = Channel(0x0808, "scrubs", "u32", "checks", "passes over the memory that never should change")

EVENTS: tuple[Event, ...] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Event))
CHANNELS: tuple[Channel, ...] = tuple(
    entry for entry in list(globals().values()) if isinstance(entry, Channel)
)
