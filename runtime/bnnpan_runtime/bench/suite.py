"""The whole benchmark: which competitors, in which cases, in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bnnpan_runtime.bench.contest import Competitor, Effort, Entry, compete
from bnnpan_runtime.bench.engines import BackendCompetitor
from bnnpan_runtime.bench.ground import GROUND_BACKENDS, ground_side
from bnnpan_runtime.bench.machine import PeakMeter, cores
from bnnpan_runtime.bench.native import NativeCompetitor
from bnnpan_runtime.bench.network import Images, Network, binary_macs, float_macs, images, random_network
from bnnpan_runtime.bench.rows import ORT_FLOAT32, STAGES, Case, Machine, Report, Row
from bnnpan_runtime.bench.scene import scene_rows
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, BnnpanError
from bnnpan_runtime.graph.libbnnpan import instruction_sets
from bnnpan_runtime.graph.protocol import Backend

__all__ = ["Options", "choose_options", "run_benchmark"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """What to measure: windows, and processes on a scene of `scene_size` pixels a side unless that is 0.

    backends   names of competitors; none means all
    threads    windows at the same time; 0 stands for as many as there are cores
    every_isa  also time the native engine on lesser instruction sets
    """

    channels: tuple[int, ...]
    tiles: tuple[int, ...]
    threads: tuple[int, ...]
    backends: tuple[str, ...]
    scene_size: int
    effort: Effort
    every_isa: bool = True


def choose_options(
    bundle: Bundle,
    quick: bool = False,
    channels: tuple[int, ...] = (),
    tiles: tuple[int, ...] | None = None,
    threads: tuple[int, ...] | None = None,
    backends: tuple[str, ...] = (),
    scene_size: int | None = None,
) -> Options:
    """Options as given, else everything that is worth a comparison, or with `quick` the least."""
    own = bundle.manifest.network.channels
    widths = (own,) if quick else tuple(dict.fromkeys((own, 64)))
    return Options(
        channels=channels or widths,
        tiles=tiles or ((bundle.manifest.tflite_window or 256,) if quick else (128, 256, 512)),
        threads=threads or ((1,) if quick else (1, 0)),
        backends=backends,
        scene_size=(512 if quick else 2048) if scene_size is None else scene_size,
        effort=Effort(rounds=3, sample_seconds=0.01, enough_seconds=2.0) if quick else Effort(),
        every_isa=not quick,
    )


@dataclass(frozen=True)
class _Absent:
    """Stands for a competitor that cannot run here, so that its rows tell why."""

    name: str
    reason: str
    stages: Sequence[str] = ("graph", "tile")

    def prepare(self, network: Network, images: Images, case: Case) -> Sequence[Callable[[int], float]]:
        raise BackendError(self.reason)


def run_benchmark(bundle: Bundle, options: Options, progress: Progress = lambda done, total: None) -> Report:
    """Measure everything. Raises BackendError if the native engine is missing, which the peaks need."""
    sets = instruction_sets()
    competitors = _chosen(_competitors(sets), options)
    meter, own = PeakMeter(), Network.of(bundle)
    for isa in sets:
        meter.measure(isa)
    contests = _contests(options, competitors)
    total = options.effort.rounds * sum(map(len, contests))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    rows: list[Row] = []
    networks: dict[int, Network] = {own.shape.channels: own}
    for entries in contests:
        case = entries[0].case
        if case.channels not in networks:
            networks[case.channels] = _other_width(own, case.channels, competitors)
        network = networks[case.channels]
        meter.measure(sets[0])
        rows += compete(entries, network, images(network, case.tile), options.effort, step)
    machine = meter.machine()
    rows = _compared(rows, networks, machine)
    repeats = max(1, options.effort.rounds // 3)
    scenes = scene_rows(bundle, options.scene_size, rows, cores(), repeats) if options.scene_size else ()
    return Report(machine, rows, scenes)


def _competitors(sets: Sequence[str]) -> list[Competitor]:
    everyone: list[Competitor] = [
        NativeCompetitor(),
        BackendCompetitor("onnx", _open_onnx),
        BackendCompetitor("onnx-kernels", _open_onnx_kernels),
        BackendCompetitor("litert-kernels", _open_litert),
        BackendCompetitor("larq", _open_larq, one_call_at_a_time=True),
    ]
    try:
        everyone += ground_side().competitors()
    except BackendError as error:
        everyone += [_Absent(name, str(error)) for name in GROUND_BACKENDS]
    return everyone + [NativeCompetitor(isa, ("trunk", "graph", "tile")) for isa in sets[1:]]


def _chosen(everyone: Sequence[Competitor], options: Options) -> list[Competitor]:
    known = [competitor.name for competitor in everyone]
    for name in options.backends:
        if name not in known:
            raise BackendError(f"no competitor {name!r}; there are {', '.join(known)}")
    if options.backends:
        return [competitor for competitor in everyone if competitor.name in options.backends]
    return [
        competitor
        for competitor in everyone
        if options.every_isa or not isinstance(competitor, NativeCompetitor) or competitor.isa is None
    ]


def _contests(options: Options, competitors: Sequence[Competitor]) -> list[list[Entry]]:
    """Who takes turns: all that can do the same, lest more of them are open than memory allows.

    Parts of the network are timed on one thread only.
    """
    threads = list(dict.fromkeys(count or cores() for count in options.threads))
    cases = [
        Case(stage, channels, tile, count)
        for channels in options.channels
        for tile in options.tiles
        for stage in STAGES
        for count in threads
        if count == 1 or stage in ("graph", "tile")
    ]
    contests = [[Entry(each, case) for each in competitors if case.stage in each.stages] for case in cases]
    return [entries for entries in contests if entries]


def _other_width(own: Network, channels: int, competitors: Sequence[Competitor]) -> Network:
    """With graphs if anyone needs them and they can be made here: that takes a while."""
    if all(isinstance(competitor, NativeCompetitor) for competitor in competitors):
        return random_network(own, channels)
    try:
        return Network.of(ground_side().bundle(own, channels))
    except BnnpanError:
        return random_network(own, channels)


def _compared(rows: Sequence[Row], networks: dict[int, Network], machine: Machine) -> list[Row]:
    """Rows with what they are measured against: stock ONNX Runtime, and the peaks."""
    reference = {row.case: row.median_seconds for row in rows if row.backend == ORT_FLOAT32}
    compared = []
    for row in rows:
        if row.median_seconds is not None:
            seconds, slow = row.median_seconds, reference.get(row.case)
            shape = networks[row.channels].shape
            macs = (binary_macs(shape, row.stage, row.tile), float_macs(shape, row.stage, row.tile))
            row = replace(
                row,
                times_faster_than_ort_float32=None if slow is None else slow / seconds,
                share_of_peak=machine.share_of_peak(*macs, seconds, row.threads),
            )
        compared.append(row)
    return compared


def _open_onnx(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.onnx import OnnxBackend

    return OnnxBackend(bundle, kernels=False)


def _open_onnx_kernels(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.onnx import OnnxBackend

    return OnnxBackend(bundle, kernels=True)


def _open_litert(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.litert import LiteRtEngine
    from bnnpan_runtime.graph.tflite import TfliteBackend

    return TfliteBackend(bundle, LiteRtEngine())


def _open_larq(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.larq import LarqEngine
    from bnnpan_runtime.graph.tflite import TfliteBackend

    return TfliteBackend(bundle, LarqEngine(fastest=True))
