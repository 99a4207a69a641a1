"""From a kind of fault and a seed to what exactly is done: which call, which file, which bits."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .bits import flip_file, flip_memory, grow, truncate
from .power import LossyDisk
from .thermal import steps, throttle
from .trace import Injection

WRITES = ("pwrite64", "write", "ftruncate", "fallocate", "pwritev", "writev")
READS = ("pread64", "read", "preadv", "readv")
SYNCS = ("fsync", "fdatasync")
_LONGEST_BROWNOUT = 8
_SLOW_US = 20_000


@dataclass(frozen=True)
class Workspace:
    """Files of one trial, all its own; the product has a folder to itself."""

    pan: Path
    ms: Path
    bundle: Path
    product: Path
    logs: Path
    disk: LossyDisk | None = None

    def left_behind(self) -> list[Path]:
        """Files beside the product that a run did not remove."""
        found = (path for path in self.product.parent.rglob("*") if path.is_file())
        return sorted(path for path in found if path != self.product)

    def power(self) -> LossyDisk:
        """The disk whose power can be cut."""
        if self.disk is None:
            raise ValueError("this trial has no disk of its own")
        return self.disk


Damage = Callable[[Workspace], str]
"""Does something to the files; says what."""


@dataclass(frozen=True)
class Plan:
    """One fault.

    said        what will be done, as far as it is known before
    injections  one for each disturbed run; each follows the one before if that did not succeed
    before      damage to files before the first run
    at_stop     done to the process and its files while it stands still by an injected SIGSTOP
    between     damage to files after the disturbed runs
    after       damage after a run that succeeded; its product is looked at only then
    """

    said: str
    injections: tuple[Injection, ...] = ()
    before: Damage | None = None
    at_stop: Callable[[int, Workspace], str] | None = None
    between: Damage | None = None
    after: Damage | None = None


def plan(kind: str, chance: random.Random, counts: Mapping[str, int]) -> Plan:
    """The fault of that kind; `counts` are the undisturbed run's calls."""
    return _PLANS[kind](chance, counts)


def _kill(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _any_call(chance, counts)
    return _signal("KILL", call, number)


def _term(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _any_call(chance, counts)
    return _signal("TERM", call, number)


def _signal(name: str, call: str, number: int) -> Plan:
    return Plan(f"SIG{name} at {call} {number}", (Injection(call, f"signal={name}", str(number)),))


def _enospc(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _call_of(WRITES, chance, counts)
    return Plan(f"ENOSPC from {call} {number} on", (Injection(call, "error=ENOSPC", f"{number}+"),))


def _eio(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _call_of((*READS, *WRITES, *SYNCS), chance, counts)
    lasting = chance.random() < 0.5
    said = f"EIO at {call} {number}{' and after' if lasting else ''}"
    return Plan(said, (Injection(call, "error=EIO", f"{number}{'+' if lasting else ''}"),))


def _slow(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _call_of((*READS, *WRITES, *SYNCS), chance, counts)
    step = max(1, counts.get(call, 1) // 50)  # a second in all
    return Plan(
        f"every {step}. {call} from {number} on takes 20 ms longer",
        (Injection(call, f"delay_enter={_SLOW_US}", f"{number}+{step}"),),
    )


def _thermal(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _any_call(chance, counts)
    shares = steps(chance)
    return Plan(
        f"throttled from {call} {number} on",
        (Injection(call, "signal=STOP", str(number)),),
        at_stop=lambda pid, files: throttle(pid, shares),
    )


def _brownout(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    times = chance.randint(2, _LONGEST_BROWNOUT)
    chosen = [_any_call(chance, counts) for _ in range(times)]
    injections = tuple(Injection(call, "signal=KILL", str(number)) for call, number in chosen)
    return Plan("SIGKILL at " + ", ".join(f"{call} {number}" for call, number in chosen), injections)


def _powercut(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    def cut_now(files: Workspace) -> str:
        files.power().hold()
        return files.power().cut()

    if chance.random() < 0.3:
        return Plan("power cut after the run", after=cut_now)
    call, number = _any_call(chance, counts)

    def hold_and_kill(pid: int, files: Workspace) -> str:
        files.power().hold()  # before the kill: closing files may write
        os.killpg(pid, signal.SIGKILL)
        return f"power cut at {call} {number}"

    def cut(files: Workspace) -> str:
        return files.power().cut()

    stop = Injection(call, "signal=STOP", str(number))
    return Plan(f"power cut at {call} {number}", (stop,), at_stop=hold_and_kill, between=cut, after=cut_now)


def _flip_bundle(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    flips = chance.randint(1, 3)
    return Plan("bits flipped before the run", before=lambda files: flip_file(files.bundle, flips, chance))


def _flip_scene(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    flips, pan = chance.randint(1, 3), chance.random() < 0.5
    return Plan(
        "bits flipped before the run",
        before=lambda files: flip_file(files.pan if pan else files.ms, flips, chance),
    )


def _flip_partial(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    late = {call: count for call, count in counts.items() if call in (*WRITES, *SYNCS)}
    call, number = _any_call(chance, late or counts)
    flips = chance.randint(1, 3)

    def damage(files: Workspace) -> str:
        found = files.left_behind()
        return flip_file(chance.choice(found), flips, chance) if found else "nothing was left behind"

    return Plan(f"SIGKILL at {call} {number}", (Injection(call, "signal=KILL", str(number)),), between=damage)


def _flip_memory(chance: random.Random, counts: Mapping[str, int]) -> Plan:
    call, number = _any_call(chance, counts)
    flips = chance.randint(1, 4)
    return Plan(
        f"memory flipped at {call} {number}",
        (Injection(call, "signal=STOP", str(number)),),
        at_stop=lambda pid, files: flip_memory(pid, flips, chance),
    )


def _scene_changes(change: Callable[[Path, random.Random], str]) -> Callable[..., Plan]:
    def make(chance: random.Random, counts: Mapping[str, int]) -> Plan:
        call, number = _call_of(READS, chance, counts)
        pan = chance.random() < 0.5
        return Plan(
            f"scene changed at {call} {number}",
            (Injection(call, "signal=STOP", str(number)),),
            at_stop=lambda pid, files: change(files.pan if pan else files.ms, chance),
        )

    return make


def _any_call(chance: random.Random, counts: Mapping[str, int]) -> tuple[str, int]:
    """Half of the time any kind of call, so that rare ones have their turn; else any call."""
    calls = sorted(counts)
    weights = None if chance.random() < 0.5 else [counts[call] for call in calls]
    call = chance.choices(calls, weights)[0]
    return call, chance.randint(1, counts[call])


def _call_of(wanted: Sequence[str], chance: random.Random, counts: Mapping[str, int]) -> tuple[str, int]:
    found = {call: counts[call] for call in wanted if call in counts}
    return _any_call(chance, found or counts)


_PLANS: dict[str, Callable[[random.Random, Mapping[str, int]], Plan]] = {
    "kill": _kill,
    "term": _term,
    "enospc": _enospc,
    "eio": _eio,
    "slow": _slow,
    "thermal": _thermal,
    "brownout": _brownout,
    "powercut": _powercut,
    "flip-bundle": _flip_bundle,
    "flip-scene": _flip_scene,
    "flip-partial": _flip_partial,
    "flip-memory": _flip_memory,
    "scene-grows": _scene_changes(grow),
    "scene-truncated": _scene_changes(truncate),
}
