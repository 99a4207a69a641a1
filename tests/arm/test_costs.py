"""Costs on ARM stay as recorded: one that moves by more than 2 % fails here, also to the better, so that the
record stays true. The failure names the command that records anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from arm.cores import CORES, Estimator, estimator
from arm.costs import BASELINE, TOLERANCE, Costs, changes, cycles, instructions, measure
from arm.emulator import STAGES, build, instruction_class
from programs import Unavailable
from requirements import missing


@pytest.fixture(scope="module")
def recorded() -> Costs:
    return Costs.load(BASELINE)


@pytest.fixture(scope="module")
def models() -> Estimator | None:
    try:
        return estimator()
    except Unavailable:
        return None


@pytest.fixture(scope="module")
def measured(
    repo_root: Path, tmp_path_factory: pytest.TempPathFactory, recorded: Costs, models: Estimator | None
) -> Costs:
    try:
        built = build(repo_root / "runtime" / "native", tmp_path_factory.mktemp("arm"))
    except Unavailable as error:
        missing("tools", str(error))
    if built.compiler != recorded.compiler:
        missing("tools", f"the costs were recorded with {recorded.compiler}, here is {built.compiler}")
    return measure(built, models)


@pytest.mark.slow
def test_no_stage_executes_other_than_the_recorded_instructions(measured: Costs, recorded: Costs) -> None:
    found = changes(instructions(recorded), instructions(measured), "instructions")
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_no_stage_takes_other_than_the_recorded_cycles(
    measured: Costs, recorded: Costs, models: Estimator | None
) -> None:
    if models is None or models.version != recorded.llvm:
        found = models.version if models else "none (Debian and Ubuntu: apt-get install llvm-19)"
        missing("tools", f"the cycles were recorded with LLVM {recorded.llvm}, here is {found}")
    for core in CORES:
        found = changes(cycles(recorded, core), cycles(measured, core), f"cycles on {core}")
        assert not found, "\n".join(found)


def test_every_stage_is_recorded_and_does_vector_work(recorded: Costs) -> None:
    assert {name.partition("/")[0] for name in recorded.costs} == set(STAGES)
    for name, cost in recorded.costs.items():
        assert cost.simd + cost.simd_memory > 0.3 * cost.instructions, name


@pytest.mark.parametrize("factor", [1 + 1.5 * TOLERANCE, 1 - 1.5 * TOLERANCE])
def test_a_moved_cost_is_named_with_the_command_that_records_it(factor: float) -> None:
    (line, advice) = changes(
        {"trunk/32": 1000, "pack/32": 1000}, {"trunk/32": 1000 * factor, "pack/32": 1010}, "x"
    )
    assert line.startswith("trunk/32: 3.0% ") and advice.endswith("costs.py --update")


def test_a_cost_within_the_tolerance_is_no_change() -> None:
    assert changes({"trunk/32": 1000.0}, {"trunk/32": 1000 * (1 + TOLERANCE / 2)}, "instructions") == []


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("6e201c00", "simd"),  # eor v0.16b, v0.16b, v0.16b
        ("4e205800", "simd"),  # cnt v0.16b, v0.16b
        ("4d40c800", "simd_memory"),  # ld1r { v0.4s }, [x0]
        ("3dc00000", "simd_memory"),  # ldr q0, [x0]
        ("f9400000", "other"),  # ldr x0, [x0]
        ("8b010000", "other"),  # add x0, x0, x1
        ("54000000", "other"),  # b.eq
    ],
)
def test_instructions_are_told_apart_by_their_encoding(word: str, kind: str) -> None:
    assert instruction_class(word) == kind
