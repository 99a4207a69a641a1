"""A campaign: fault after fault on the same small scene, each judged against the undisturbed product.

The runtime is a black box: what is looked at are exit codes and the product's bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from bnnpan_runtime.errors import VerificationError
from bnnpan_sim.processes import state
from bnnpan_sim.scenes import SceneFiles, last_line, make_folder

from .outcome import BAD, OUTCOMES, Attempt, classify
from .plans import Plan, Workspace, plan
from .power import lossy_disk
from .runs import ColdRuns, ForkedRuns, Run, Runs, wait_until
from .trace import Injection, call_counts, require_strace, traced

_SHORTEST_HANG_SECONDS = 30.0
_HANG_FACTOR = 30.0
_STOP_SECONDS = 20.0
_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Trial:
    """One fault and what came of it.

    done    what was done, in words; empty if the run ended before its turn came
    repeat  the command that does it again
    left    files that the last run left beside a finished product
    """

    index: int
    kind: str
    seed: int
    planned: str
    done: str
    outcome: str
    detail: str
    seconds: float
    repeat: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class CampaignReport:
    """The JSON of `bnnpan sim campaign --json`."""

    seed: int
    arguments: tuple[str, ...]
    product_sha256: str
    start: str
    trials: tuple[Trial, ...]

    @property
    def bad(self) -> list[Trial]:
        """Silent corruptions and hangs."""
        return [trial for trial in self.trials if trial.outcome in BAD]

    def table(self) -> dict[str, dict[str, int]]:
        """Kind -> outcome -> how often."""
        kinds = dict.fromkeys(trial.kind for trial in self.trials)
        return {
            kind: {
                outcome: sum(trial.kind == kind and trial.outcome == outcome for trial in self.trials)
                for outcome in OUTCOMES
            }
            for kind in kinds
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "table": self.table()}


class Campaign:
    """Undisturbed run, counted calls, and then trials. Raises ConfigError where nothing can be traced."""

    def __init__(
        self,
        scene: SceneFiles,
        arguments: Sequence[str],
        work: Path,
        *,
        cold: bool = False,
        command: str = "",
    ) -> None:
        """`arguments` are those of `bnnpan fuse` but for scene and product; `command` is for `repeat`."""
        require_strace()
        make_folder(work)
        self._scene, self._arguments = scene, list(arguments)
        self._repeat = command or "bnnpan sim campaign"
        self._folder = tempfile.TemporaryDirectory(prefix="faults-", dir=work)
        self._runs: Runs = ColdRuns() if cold else ForkedRuns()
        self.start = "cold" if cold else "forked"
        self._hang_seconds = _SHORTEST_HANG_SECONDS
        self._bundle = _bundle_file(self._arguments)
        try:
            self._warm_up()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what runs and remove the files."""
        self._runs.close()
        self._folder.cleanup()

    def trials(
        self, kinds: Sequence[str], seed: int, indices: Sequence[int], progress: Callable[[Trial], None]
    ) -> CampaignReport:
        """All of them, kinds taking turns."""
        done = []
        for index in indices:
            done.append(self.trial(kinds[index % len(kinds)], seed, index))
            progress(done[-1])
        return CampaignReport(seed, tuple(self._arguments), self.right, self.start, tuple(done))

    def trial(self, kind: str, seed: int, index: int) -> Trial:
        """One fault. The same kind, seed and index do the same again."""
        begin = time.monotonic()
        chance = random.Random(f"{kind} {seed} {index}")
        chosen = plan(kind, chance, self.counts)
        with self._workspace(lossy=kind == "powercut") as files:
            done = [chosen.before(files)] if chosen.before else []
            first = self._disturbed(chosen, files, done)
            if chosen.after and first.exit_code == 0:
                done.append(f"{chosen.after(files)} after the run")
                first = replace(first, product_sha256=_sha256(files.product))
            if chosen.between and first.exit_code != 0:
                done.append(chosen.between(files))
            second = None
            if first.exit_code not in (0, None):
                second = self._attempt(files, None, None, done)
            faithful = self._faithful(files) if chosen.before else None
            outcome, detail = classify(first, second, self.right, faithful)
            left = tuple(path.name for path in files.left_behind()) if files.product.exists() else ()
        repeat = f"{self._repeat} --kinds {kind} --seed {seed} --only {index}"
        seconds = round(time.monotonic() - begin, 3)
        said = "; ".join(done)
        return Trial(index, kind, seed, chosen.said, said, outcome, detail, seconds, repeat, left)

    def _warm_up(self) -> None:
        """The undisturbed product, twice, and how often each system call is made for it."""
        if isinstance(self._runs, ForkedRuns):
            with self._workspace() as files:
                names = files.logs / "modules.json"
                out, err = files.logs / "stdout", files.logs / "stderr"
                first = self._runs.start(self._command(files), out, err, names)
                _let_go(first)
                _must_succeed(first.exit_code(_SHORTEST_HANG_SECONDS), err)
                self._runs.preload(_names(names))
        with self._workspace() as files:
            begin = time.monotonic()
            attempt = self._attempt(files, None, None, [])
            self._hang_seconds = max(_SHORTEST_HANG_SECONDS, _HANG_FACTOR * (time.monotonic() - begin))
            _must_succeed(attempt.exit_code, files.logs / "stderr")
            self.right = str(attempt.product_sha256)
        with self._workspace() as files:
            log = Path(self._folder.name) / "calls"
            run = self._start(files)
            with traced(run, log):
                run.go()
                run.exit_code(self._hang_seconds)
            self.counts = call_counts(log.read_text(errors="replace"))
            if _sha256(files.product) != self.right:
                raise VerificationError("two undisturbed runs made different products: nothing to judge by")

    def _disturbed(self, chosen: Plan, files: Workspace, done: list[str]) -> Attempt:
        """One run for each injection, until one succeeds or does not end."""
        attempt: Attempt | None = None
        for injection in chosen.injections or (None,):
            attempt = self._attempt(files, injection, chosen, done)
            if attempt.exit_code in (0, None):
                break
        assert attempt is not None
        return attempt

    def _attempt(
        self, files: Workspace, injection: Injection | None, chosen: Plan | None, done: list[str]
    ) -> Attempt:
        run = self._start(files)
        if injection is None:
            _let_go(run)
            code = run.exit_code(self._hang_seconds)
        else:
            code = self._traced(run, files, injection, chosen, done)
        if code is None:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.exit_code(10.0)
        message = last_line((files.logs / "stderr").read_text(errors="replace"))
        return Attempt(code, message, _sha256(files.product))

    def _traced(
        self, run: Run, files: Workspace, injection: Injection, chosen: Plan | None, done: list[str]
    ) -> int | None:
        log = files.logs / "strace"
        log.unlink(missing_ok=True)
        with traced(run, log, injection) as tracing:
            run.go()
            if chosen is not None and chosen.at_stop is not None:
                code: list[int | None] = []

                def settled() -> bool:
                    code[:] = [run.exit_code(0.0)]
                    return code[0] is not None or tracing.stopped()

                wait_until(settled, _STOP_SECONDS)
                if code and code[0] is not None:
                    return code[0]
                done.append(chosen.at_stop(run.pid, files))
                run.go()
            ended = run.exit_code(self._hang_seconds)
            if ended is None:
                with suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
            signalled = ended is not None and (ended < 0 or ended == _TERMINATED)
            if (tracing.fired() or signalled) and not (chosen and chosen.at_stop):
                done.append(f"{injection.what} at {injection.call} {injection.when}")
            return ended

    def _faithful(self, files: Workspace) -> str | None:
        """What an undisturbed run makes of the input as it is now."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            aside = replace(files, product=Path(folder) / "product.tif")
            return self._attempt(aside, None, None, []).product_sha256

    def _start(self, files: Workspace) -> Run:
        out, err = files.logs / "stdout", files.logs / "stderr"
        return self._runs.start(self._command(files), out, err)

    def _command(self, files: Workspace) -> list[str]:
        scene = ["--pan", str(files.pan), "--ms", str(files.ms), "--out", str(files.product)]
        own = ["--bundle", str(files.bundle)]
        return ["fuse", "--json", "--overwrite", *scene, *self._arguments, *own, *_unsigned()]

    @contextmanager
    def _workspace(self, *, lossy: bool = False) -> Iterator[Workspace]:
        """Input in one folder, what the run makes in another, so that what it leaves can be seen."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self._folder.name)))
            disk = stack.enter_context(lossy_disk(folder)) if lossy else None
            out = (disk.place if disk else folder) / "out"
            out.mkdir()
            if disk:
                os.sync()
            for source, target in ((self._scene.pan, "pan.tif"), (self._scene.ms, "ms.tif")):
                shutil.copyfile(source, folder / target)
            shutil.copyfile(self._bundle, folder / "net.bnnpan")
            yield Workspace(
                folder / "pan.tif",
                folder / "ms.tif",
                folder / "net.bnnpan",
                out / "product.tif",
                folder,
                disk,
            )


def _let_go(run: Run) -> None:
    wait_until(lambda: state(run.pid) in ("T", ""))
    run.go()


def _must_succeed(code: int | None, stderr: Path) -> None:
    if code != 0:
        said = last_line(stderr.read_text(errors="replace"))
        raise VerificationError(f"the undisturbed run failed with {code}: {said}")


def _names(path: Path) -> list[str]:
    names: list[str] = json.loads(path.read_text())
    return [name for name in names if not name.startswith(("__", "bnnpan_sim"))]


def _bundle_file(arguments: list[str]) -> Path:
    """The bundle as a file to copy; its option is taken out of the arguments."""
    from bnnpan_runtime.bundle import Bundle

    name = "bgrn-x4"
    if "--bundle" in arguments:
        place = arguments.index("--bundle")
        name = arguments[place + 1]
        del arguments[place : place + 2]
    return Path(Bundle.open(name).path)


@cache
def _unsigned() -> tuple[str, ...]:
    """A copied bundle is one given by path: its integrity is to be tested, not who signed it."""
    command = [sys.executable, "-m", "bnnpan_runtime", "fuse", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ("--allow-unsigned",) if "--allow-unsigned" in shown else ()


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
