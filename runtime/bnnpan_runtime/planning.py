"""Decide tile size and cache so that a run fits its memory budget, before anything is allocated.

The budget is that of the whole process. What is there already is measured; what the run will add is counted
from the same shapes that are later allocated. Phases that take turns are counted once: the patches of the
calibration are returned to the system before the first tile is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bnnpan_runtime.calibrate import calibration_bytes
from bnnpan_runtime.contract import Plan, Recipe
from bnnpan_runtime.errors import BackendError, BudgetError, SceneError
from bnnpan_runtime.graph.protocol import Backend, Engine, TileBackend
from bnnpan_runtime.memory import KIB, MIB, ceil_mib, format_size, peak_bytes, resident_bytes
from bnnpan_runtime.product.mosaic import BLOCK
from bnnpan_runtime.radiometry.corrected import correction_bytes
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene
from bnnpan_runtime.storage import Storage
from bnnpan_runtime.tiles import tile_count, window_shape
from bnnpan_runtime.worker import Layout, slot_count, tile_layout, worker_count

__all__ = ["SMALLEST_CACHE", "Footprint", "plan"]

TILES = (1024, 512, 256, 128, 64)
"""Cores to choose from. Multiples of the product's block of 256 fill whole blocks; smaller ones, for small
budgets, write a block several times."""

SMALLEST_TILE = 16

SMALLEST_CACHE = 8 * MIB
"""Raster block cache below which GDAL reads and decodes the same blocks again and again."""

_GROWTH_BYTES = 4 * MIB
"""Code and heap that are first touched while running: TIFF writing, hashing, threads."""

_BOOKKEEPING_BYTES = 256 * KIB
"""What GDAL counts in its cache beside the pixels of blocks: without room for it the last block stays out."""

_THREAD_BYTES = 256 * KIB
"""Touched part of a thread's stack and of its malloc arena."""

_MARGIN_SHARE = 0.03
"""Page rounding and allocator slack of everything counted."""

_ROOM_BYTES = 2 * MIB
"""Added to the smallest budget: the same program starts a little larger or smaller from run to run."""

_DECODE_WEIGHT = 0.04
"""Time to read and decode a pixel over the time to fuse it, for comparing tile sizes."""

_AS_FAST = 1.03
"""Of plans that differ by less time than a measurement would show, the smallest is taken."""


@dataclass(frozen=True)
class Footprint:
    """Memory of the process when everything is open and nothing is allocated yet.

    resident_bytes  now
    peak_bytes      at its peak so far: engines that were tried and refused count, too
    read_bytes      what reading the scene has left: blocks in the cache and buffers of decoders, which the
                    tiles use again
    """

    resident_bytes: int
    peak_bytes: int = 0
    read_bytes: int = 0

    @classmethod
    def of_this_process(cls, read_bytes: int) -> Footprint:
        """As the kernel counts it."""
        return cls(resident_bytes(), peak_bytes(), read_bytes)


@dataclass(frozen=True)
class _Candidate:
    """One way to run; `cost` is a time, in fused pixels."""

    tile: int
    cache_bytes: int
    terms: dict[str, int]
    cost: float

    @property
    def peak_bytes(self) -> int:
        return sum(self.terms.values())


def plan(
    scene: Scene,
    recipe: Recipe,
    backend: Backend | TileBackend,
    budget_bytes: int,
    threads: int,
    tile: int | None = None,
    footprint: Footprint | None = None,
    extra_terms: Callable[[int], Mapping[str, int]] = lambda tile: {},
    finishing_bytes: int = 0,
) -> Plan:
    """The fastest way to run within the budget, and of equally fast ones the smallest.

    `recipe` is that of the method, or the bundle of the network. `tile` fixes the side of the cores (even, at
    least 16) instead of choosing among `TILES`. `footprint` is that of this process, measured now if it is
    not given. `extra_terms` are those of what else is asked of the run, by its tile, and `finishing_bytes`
    what its last steps take when the tiles are done.
    Raises BudgetError naming the smallest budget that works, BackendError for a tile that cannot be.
    """
    halo = recipe.halo
    footprint = footprint or Footprint(resident_bytes())
    candidates = [
        candidate
        for side in _tile_sides(scene, backend, halo, tile)
        for candidate in _candidates(
            scene,
            recipe,
            backend,
            side,
            threads,
            footprint,
            extra_terms(side),
            finishing_bytes,
        )
    ]
    smallest = min(candidates, key=lambda candidate: candidate.peak_bytes)
    smallest_budget = ceil_mib(smallest.peak_bytes + _ROOM_BYTES)
    fitting = [candidate for candidate in candidates if candidate.peak_bytes <= budget_bytes]
    if not fitting:
        raise _too_small(budget_bytes, smallest_budget, smallest, backend)
    fastest = min(candidate.cost for candidate in fitting)
    chosen = min((c for c in fitting if c.cost <= _AS_FAST * fastest), key=lambda c: (c.peak_bytes, c.cost))
    return Plan(
        backend=backend.name,
        tile=chosen.tile,
        halo=halo,
        window=window_shape(scene.height, scene.width, chosen.tile, halo),
        threads=threads,
        tiles=tile_count(scene.height, scene.width, chosen.tile),
        gdal_cache_bytes=chosen.cache_bytes,
        terms=chosen.terms,
        predicted_peak_bytes=chosen.peak_bytes,
        smallest_budget_bytes=smallest_budget,
        budget_bytes=budget_bytes,
        shrinks_pan=recipe.shrinks_pan,
    )


def _tile_sides(scene: Scene, backend: Engine, halo: int, tile: int | None) -> list[int]:
    if backend.fixed_window is not None:
        side = backend.fixed_window - 2 * halo
        if min(scene.padded) < backend.fixed_window:
            raise SceneError(
                f"{scene.pan.name}: the {backend.name} graph takes windows of {backend.fixed_window} PAN"
                " pixels, this scene is smaller; use another backend"
            )
        if tile not in (None, side):
            raise BackendError(f"the {backend.name} graph has a fixed window: its tile is {side}, not {tile}")
        return [side]
    if tile is None:
        # Of the sizes that take in the whole scene, the smallest is enough.
        return [side for side in TILES if side // 2 < max(scene.padded)] or [min(TILES)]
    if tile < SMALLEST_TILE or tile % 2:
        raise BackendError(
            f"a tile of {tile} PAN pixels was asked for; it must be even, {SMALLEST_TILE} or more"
        )
    return [tile]


def _candidates(
    scene: Scene,
    recipe: Recipe,
    backend: Backend | TileBackend,
    tile: int,
    threads: int,
    footprint: Footprint,
    extra_terms: Mapping[str, int],
    finishing_bytes: int,
) -> Iterator[_Candidate]:
    """Ways to run with one tile size: with the smallest cache, and with one that holds a row of tiles."""
    resampler = Resampler(scene.grid, recipe.phase)
    height, width = window_shape(scene.height, scene.width, tile, recipe.halo)
    layout = tile_layout(scene, resampler, backend, tile, recipe.halo, recipe.shrinks_pan)
    count = tile_count(scene.height, scene.width, tile)
    fused = -(-count // worker_count(threads, count)) * height * width
    added = {**_added_terms(scene, recipe, backend, resampler, layout, tile, threads), **extra_terms}
    if finishing_bytes:
        # The last steps begin when the tiles are gone, but for the last one's slot.
        gone = added["tiles_in_flight"] + added["engines"] - layout.slot_bytes
        added["finishing"] = max(0, finishing_bytes - gone)

    pan, ms = Storage.of(scene.pan), Storage.of(scene.ms)
    ms_height = resampler.largest_ms_window(height, width)[0]
    read_height, read_width = layout.slot["pan"][0]
    row_of_tiles = pan.row_of_windows_bytes(read_height) + ms.row_of_windows_bytes(ms_height)
    # With less than a block of each, every window decodes both again, and malloc keeps the pieces.
    one_of_each = pan.block_bytes + ms.block_bytes + _BOOKKEEPING_BYTES
    everything = pan.decoded_bytes + ms.decoded_bytes + _BOOKKEEPING_BYTES
    smallest_cache = ceil_mib(min(max(SMALLEST_CACHE, one_of_each), everything))
    row_cache = ceil_mib(min(row_of_tiles + _BOOKKEEPING_BYTES, everything))
    for cache in sorted({smallest_cache, max(smallest_cache, row_cache)}):
        read_again = min(footprint.read_bytes, cache + added["raster_blocks"])
        terms = {"process": footprint.resident_bytes - read_again, "gdal_cache": cache, **added}
        terms["margin"] = int(_MARGIN_SHARE * (cache + sum(added.values())))
        # Over before anything is allocated, like the calibration before the first tile.
        terms["opening"] = max(0, footprint.peak_bytes - sum(terms.values()))
        decoded = pan.times_decoded(read_height, read_width, cache) * scene.height * scene.width
        yield _Candidate(tile, cache, terms, fused + _DECODE_WEIGHT * decoded)


def _added_terms(
    scene: Scene,
    recipe: Recipe,
    backend: Backend | TileBackend,
    resampler: Resampler,
    layout: Layout,
    tile: int,
    threads: int,
) -> dict[str, int]:
    """What a run adds to the process, but for the cache."""
    calibration = recipe.calibration
    count = tile_count(scene.height, scene.width, tile)
    workers, slots = worker_count(threads, count), slot_count(threads, count)
    window = window_shape(scene.height, scene.width, tile, recipe.halo)
    engine = backend.memory(*window)
    pan, ms = Storage.of(scene.pan), Storage.of(scene.ms)
    masks = max(
        scene.pan.mask_bytes(*layout.slot["pan"][0]),
        scene.ms.mask_bytes(*resampler.largest_ms_window(*window)),
    )
    terms = {
        "raster_blocks": pan.decoder_bytes + ms.decoder_bytes + masks + correction_bytes(scene),
        "tiles_in_flight": slots * layout.slot_bytes,
        "engines": workers * layout.bench_bytes,
        "library": workers * engine.library_bytes,
        "writer": BLOCK**2 * ms.pixel_bytes + _GROWTH_BYTES + workers * _THREAD_BYTES,
    }
    # The calibration is over before the first tile: it counts only as far as it takes more than the tiles.
    patches = calibration_bytes(scene, recipe, resampler)
    patches += backend.calibration_bytes(calibration.count, calibration.patch)
    tiles = terms["tiles_in_flight"] + terms["engines"] + terms["library"]
    return {**terms, "calibration": max(0, patches - tiles)}


def _too_small(budget_bytes: int, smallest_budget: int, smallest: _Candidate, backend: Engine) -> BudgetError:
    largest = sorted(smallest.terms.items(), key=lambda term: -term[1])[:3]
    parts = ", ".join(f"{name} {format_size(size)}" for name, size in largest)
    return BudgetError(
        f"a memory budget of {format_size(budget_bytes)} is too small for this scene and the {backend.name}"
        f" backend: the smallest that works is {format_size(smallest_budget)} ({parts}, ...)"
    )
