"""Types that cross borders between trainer, exporter, runtime and emulated boards.

Everything here is a plain value: frozen dataclasses with JSON-able fields. Units stand in the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from bnnpan_runtime.finishing.statistics import BandStatistics
    from bnnpan_runtime.registration.shift import Shift
    from bnnpan_runtime.scene_units import SceneUnits

PLASTIC_NUMBER = 1.32471795724474602596
ENOUGH_VALID = 0.98
CANDIDATES_PER_PATCH = 16

SCHEMA = 2
"""Version of the bundle manifest."""

Phase = Literal["centred", "toolbox"]
"""Where MS sample k lies on the PAN grid: `ratio*k + (ratio-1)/2` (true centre) or `ratio*k + ratio//2`."""

Units = Literal["bit_depth", "scene"]
"""What a network is fed: DN over `2**bits - 1`, or the scene units of `bnnpan_runtime.scene_units`."""

MANIFEST_NAME = "manifest.json"
SIGNATURES_NAME = "signatures.json"
WEIGHTS_NAME = "weights.safetensors"
GOLDEN_NAME = "golden/tile.safetensors"
MODEL_CARD_NAME = "MODEL_CARD.md"
GRAPH_NAMES = ("fuse.onnx", "fuse.tflite")


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network: what a reader needs to check every tensor.

    `latent` is the width of the prior, `prior_steps` the number T of reverse diffusion steps.
    """

    bands: int
    ratio: int
    channels: int
    blocks: int
    latent: int
    prior_steps: int
    outer_skip: bool
    pooled_encoder: Literal["linear", "rectified"]


@dataclass(frozen=True)
class Calibration:
    """Scene calibration: `count` patches of `patch x patch` PAN pixels at fixed positions."""

    patch: int = 64
    count: int = 16

    def choose(self, height: int, width: int, valid_share: Callable[[Window], float]) -> list[Window]:
        """The patches of a scene: the first `places` that are at least 98 % measured.

        A scene with fewer such places among the first 16 per patch gives its most complete ones instead, so
        that a narrow strip of data is still calibrated on data. `valid_share` tells how much of a window is
        measured, 0 to 1.
        """
        graded: list[tuple[float, Window]] = []
        for window in islice(self.places(height, width), CANDIDATES_PER_PATCH * self.count):
            graded.append((min(valid_share(window), ENOUGH_VALID), window))
            if sum(share == ENOUGH_VALID for share, _ in graded) == self.count:
                break
        graded.sort(key=lambda item: -item[0])  # stable: equals stay in sequence order
        return [window for _, window in graded[: self.count]]

    def places(self, height: int, width: int) -> Iterator[Window]:
        """Endless places for a patch in a scene, spread evenly however many are taken; even corners.

        An additive sequence by the powers of the plastic number, the root of `x**3 = x + 1`, the evenest one
        known in two dimensions (Roberts, 2018).
        """
        row = col = 0.5
        last_row, last_col = height - self.patch, width - self.patch
        while True:
            top, left = int(row * (last_row + 1)) // 2 * 2, int(col * (last_col + 1)) // 2 * 2
            yield Window(top, left, self.patch, self.patch)
            row, col = (row + 1 / PLASTIC_NUMBER) % 1, (col + 1 / PLASTIC_NUMBER**2) % 1


class Recipe(Protocol):
    """What shapes a run, whatever makes its product. A `Manifest` is one."""

    @property
    def halo(self) -> int:
        """PAN pixels around a tile's core that count for it, even."""
        ...

    @property
    def phase(self) -> Phase:
        """Where MS samples lie."""
        ...

    @property
    def calibration(self) -> Calibration:
        """The patches that everything global is taken from."""
        ...

    @property
    def shrinks_pan(self) -> bool:
        """Whether a tile comes with the PAN at MS resolution, too."""
        ...


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle, checked before use."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Parity:
    """How far one exported form is from the PyTorch reference, in DN of the bundle's bit depth.

    flipped_signs   share of all activations' signs inside the network that differ; 0 also if not measured
    """

    largest_dn: float
    rms_dn: float
    share_over_1dn: float
    flipped_signs: float = 0.0


@dataclass(frozen=True)
class MemoryModel:
    """What a library that allocates by itself needs for the fuse graph, by the size of a window."""

    fixed_bytes: int
    bytes_per_window_pixel: float


@dataclass(frozen=True)
class Manifest:
    """Content of `manifest.json`.

    dn_scale         largest DN of the bit depth, `2**bit_depth - 1`
    units            what the network is fed; with "bit_depth", `dn_scale` is network unit 1
    halo             receptive-field radius of the fuse graph, rounded up to even, in PAN pixels
    tflite_window    window side of `fuse.tflite`, whose shape is fixed; 0 without that graph
    memory           backend name -> what its library allocates for a window (native reports its own arena)
    parity           file name or backend name -> distance to the PyTorch reference
    rollback_counter an older counter than the installed one is refused by an update agent
    """

    schema: int
    id: str
    sensor: str
    band_roles: tuple[str, ...]
    bit_depth: int
    dn_scale: float
    phase: Phase
    halo: int
    network: NetworkShape
    calibration: Calibration
    tflite_window: int
    files: Mapping[str, FileEntry]
    units: Units = "bit_depth"
    memory: Mapping[str, MemoryModel] = field(default_factory=dict)
    parity: Mapping[str, Parity] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    rollback_counter: int = 0

    @property
    def shrinks_pan(self) -> bool:
        """Whether a tile comes with the PAN at MS resolution, too: scene units are made with it."""
        return self.units == "scene"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; `from_json` restores an equal manifest."""
        value = asdict(self)
        value["band_roles"] = list(self.band_roles)
        return value

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """Build from a JSON value. Raises ValueError naming a field that is missing, unknown or ill-typed."""
        value = _checked(cls, value, "manifest")
        if value["schema"] != SCHEMA:
            raise ValueError(f"manifest.schema is {value['schema']}, this reader knows {SCHEMA}")
        value["network"] = _build(NetworkShape, value["network"], "manifest.network")
        value["calibration"] = _build(Calibration, value["calibration"], "manifest.calibration")
        for name, item in (("files", FileEntry), ("memory", MemoryModel), ("parity", Parity)):
            entries = value.get(name, {})
            if not isinstance(entries, dict):
                raise ValueError(f"manifest.{name} is not an object")
            value[name] = {k: _build(item, v, f"manifest.{name}[{k!r}]") for k, v in entries.items()}
        if not isinstance(value.get("provenance", {}), dict):
            raise ValueError("manifest.provenance is not an object")
        value["band_roles"] = tuple(value["band_roles"])
        return cls(**value)


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: `row, col` of its upper left corner, `height, width`."""

    row: int
    col: int
    height: int
    width: int

    def grown(self, margin: int) -> Window:
        """With as many pixels more on every side."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def moved(self, rows: int, cols: int) -> Window:
        """As many rows further down and columns further right."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def touches(self, other: Window) -> bool:
        """Whether the two share a pixel."""
        return (
            self.row < other.row + other.height
            and other.row < self.row + self.height
            and self.col < other.col + other.width
            and other.col < self.col + self.width
        )


@dataclass(frozen=True)
class Tile:
    """One unit of work: `core` is written, `window` (core and halo) is computed; both in PAN pixels."""

    index: int
    core: Window
    window: Window


@dataclass(frozen=True)
class Plan:
    """What a run will do and hold in memory, decided before anything is allocated.

    fallback_reason       why the network is refused that the classical method stands in for, else None
    tile                  side of a tile's core in PAN pixels
    window                height and width of every computed window
    shrinks_pan           whether PAN is read with a margin around it and shrunk to MS resolution, too
    terms                 what the budget is spent on, name -> bytes; their sum is `predicted_peak_bytes`
    smallest_budget_bytes the smallest budget any plan of this scene, bundle and backend can keep
    """

    backend: str
    tile: int
    halo: int
    window: tuple[int, int]
    threads: int
    tiles: int
    gdal_cache_bytes: int
    terms: Mapping[str, int]
    predicted_peak_bytes: int
    smallest_budget_bytes: int
    budget_bytes: int
    shrinks_pan: bool = False
    fallback_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


@dataclass(frozen=True)
class SceneQuality:
    """How well a product agrees with the PAN and MS it is made of, without any truth (docs/quality.md).

    d_lambda, d_s, hqnr  None if no block could be judged
    min_hqnr             below which blocks were made again, if at all
    blocks               of the product's file that could be judged
    blocks_fell_back     those made again by the classical method; figures are of the product as it is
    """

    d_lambda: float | None
    d_s: float | None
    hqnr: float | None
    min_hqnr: float | None
    blocks: int
    blocks_fell_back: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; the names of figures as the field writes them."""
        return {
            "D_lambda": self.d_lambda,
            "D_s": self.d_s,
            "HQNR": self.hqnr,
            "min_HQNR": self.min_hqnr,
            "blocks": self.blocks,
            "blocks_fell_back": self.blocks_fell_back,
        }


@dataclass(frozen=True)
class FuseReport:
    """What one run did; the JSON of `bnnpan fuse --json`.

    resumed_tiles    tiles that an interrupted run had finished; counts and times are of the others
    units            what calibration found
    method           "network", or the name of the classical method
    fallback_reason  why the network is refused that the classical method stands in for, else None
    signer           who vouches for the bundle: a key's name, "installed", "unsigned" (it was allowed), or
                     "unchecked" (nobody asked); None without a network
    signer_key_id    short name of the key that signed it, else None
    shift            between PAN and MS beyond what their files say, and whether it was corrected
    saturated_pixels product pixels from saturated ones, in the tiles of this run; None without `radiometry`
    scene_notes      what was taken for granted of the scene, and what of it was left out
    mask             where the mask is; None without one
    quality          how well the product agrees with its scene, in all runs it took; None if not asked for
    missing_tiles    tiles that a deadline has left out; `missing_pixels` are those that are missing for it
    band_roles       what the bands of the product are, None where nothing says it
    statistics       of each band in DN; None if the finished pixels were not looked at
    thumbnail        where the small picture is; None without one
    item             where the STAC item is; None without one
    """

    product: str
    product_sha256: str
    backend: str
    isa: str
    threads: int
    tile: int
    halo: int
    budget_bytes: int
    predicted_peak_bytes: int
    measured_peak_bytes: int
    pan_pixels: int
    seconds: float
    pan_pixels_per_second: float
    resumed_tiles: int
    skipped_tiles: int
    units: SceneUnits
    method: str
    fallback_reason: str | None
    signer: str | None
    signer_key_id: str | None
    shift: Shift
    saturated_pixels: int | None
    scene_notes: tuple[str, ...] = ()
    mask: str | None = None
    quality: SceneQuality | None = None
    missing_tiles: int = 0
    missing_pixels: int = 0
    band_roles: tuple[str | None, ...] = ()
    statistics: tuple[BandStatistics, ...] | None = None
    thumbnail: str | None = None
    item: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "quality": None if self.quality is None else self.quality.to_json()}


_T = TypeVar("_T")


def _checked(kind: type, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"{where}.{unknown[0]} is not a known field")
    for name in ("id", "sensor", "phase", "sha256", "pooled_encoder"):
        if name in known and not isinstance(value.get(name), str):
            raise ValueError(f"{where}.{name} is missing or not text")
    for name, item in value.items():
        kind_name = str(known[name].type)
        if kind_name == "int" and (not isinstance(item, int) or isinstance(item, bool) or item < 0):
            raise ValueError(f"{where}.{name} is not a whole number >= 0")
        if kind_name == "float" and (not isinstance(item, (int, float)) or isinstance(item, bool)):
            raise ValueError(f"{where}.{name} is not a number")
        if kind_name == "bool" and not isinstance(item, bool):
            raise ValueError(f"{where}.{name} is not true or false")
    return dict(value)


def _build(kind: type[_T], value: Any, where: str) -> _T:
    try:
        return kind(**_checked(kind, value, where))
    except TypeError as error:  # a field is missing
        raise ValueError(f"{where}: {error}") from error
