"""Which expectations of a scenario a run did not meet, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnnpan_runtime.memory import format_size

from .limits import Outcome
from .report import Event, FaultResult
from .scenario import Scenario
from .scenes import last_line


@dataclass(frozen=True)
class Evidence:
    """What there is to judge. `native_sha256` is the product of level 1, where it was asked for."""

    outcome: Outcome
    product_sha256: str | None
    native_sha256: str | None
    memory_counts: bool
    events: Sequence[Event]
    faults: Sequence[FaultResult]


def failures(scenario: Scenario, evidence: Evidence) -> list[str]:
    """Empty if all is as expected."""
    found = [*_ending(scenario, evidence.outcome), *_product(scenario, evidence)]
    if evidence.memory_counts:
        found += _memory(scenario, evidence.outcome)
    return [*found, *_events(scenario, evidence.events), *_faults(scenario, evidence.faults)]


def _ending(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    expect = scenario.expect
    if outcome.timed_out:
        yield f"still running after {scenario.timeout_seconds:g} s"
    if expect.exit_code is not None and outcome.exit_code != expect.exit_code:
        message = last_line(outcome.stderr)
        yield f"exit code {outcome.exit_code}, expected {expect.exit_code}: {message}"
    if expect.deadline_seconds is not None and outcome.seconds > expect.deadline_seconds:
        yield f"took {outcome.seconds:.1f} s on this machine, {expect.deadline_seconds:g} s were allowed"


def _memory(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    expect = scenario.expect
    if expect.killed is not None and outcome.killed != expect.killed:
        verb = "killed at" if outcome.killed else "not killed, but expected to exceed"
        yield f"{verb} {format_size(outcome.limit_bytes)}"
    within = outcome.peak_bytes <= scenario.budget_bytes
    if expect.peak_within_budget is not None and within != expect.peak_within_budget:
        over = format_size(abs(outcome.peak_bytes - scenario.budget_bytes))
        peak, budget = format_size(outcome.peak_bytes), format_size(scenario.budget_bytes)
        side = f"{over} below" if within else f"{over} over"
        yield f"peak of {peak} is {side} the budget of {budget}"


def _product(scenario: Scenario, evidence: Evidence) -> Iterator[str]:
    expect, digest = scenario.expect, evidence.product_sha256
    if expect.product is not None and (digest is not None) != expect.product:
        yield "a product was left behind" if digest else "there is no product"
    if expect.product_sha256 is not None and digest not in (None, expect.product_sha256):
        yield f"the product has sha256 {digest}, expected {expect.product_sha256}"
    if evidence.native_sha256 is not None and digest not in (None, evidence.native_sha256):
        yield f"the product has sha256 {digest}, the native one {evidence.native_sha256}"


def _events(scenario: Scenario, events: Sequence[Event]) -> Iterator[str]:
    """Expected events have to be there in their order; others may lie between."""
    seen = iter([event.name for event in events])
    for name in scenario.expect.events:
        if name not in seen:
            yield f"event {name!r} was not seen, or not in its place"
            return


def _faults(scenario: Scenario, faults: Sequence[FaultResult]) -> Iterator[str]:
    for fault in faults:
        if fault.outcome not in scenario.expect.outcomes:
            what = f"fault {fault.kind} (seed {fault.seed}): {fault.outcome}, {fault.detail}"
            yield f"{what}; again: {fault.repeat}"
