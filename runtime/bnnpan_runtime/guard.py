"""What makes sure of a tile before it is written: intact memory, two results that agree, golden tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Plan
from bnnpan_runtime.errors import DistrustError, VerificationError
from bnnpan_runtime.graph.protocol import Backend
from bnnpan_runtime.method import Method
from bnnpan_runtime.redundancy import agreed
from bnnpan_runtime.scrub import Scrubber, regions_of
from bnnpan_runtime.telemetry import Telemetry
from bnnpan_runtime.telemetry.table import SELF_TEST_FAILED, SELF_TEST_PASSED, TILE_UNRELIABLE
from bnnpan_runtime.worker import Slot

__all__ = ["Guard", "Protection", "self_test_interval"]

_SELF_TEST_SHARE = 0.01
"""Of the time of a run that self-tests may take."""

_SELF_TEST_PIXELS = 500_000
"""Pixels of windows that the native engine fuses in the time of a self-test (docs/radiation.md)."""


@dataclass(frozen=True)
class Protection:
    """How much a run does against flipped bits.

    scrub            check and repair memory with each tile
    redundant        compute every tile twice and compare
    self_test_every  tiles between two golden tiles; 0 for none but that at the start, None for one so seldom
                     that it costs about a hundredth
    """

    scrub: bool = True
    redundant: bool = False
    self_test_every: int | None = None


def self_test_interval(plan: Plan) -> int:
    """Tiles between two self-tests that cost a hundredth of the tiles."""
    height, width = plan.window
    return max(1, round(_SELF_TEST_PIXELS / (_SELF_TEST_SHARE * height * width)))


class Guard:
    """Guards the tiles of one run. `compute` is for any thread, `approve` for the one that writes."""

    def __init__(
        self,
        method: Method,
        constants: SceneConstants,
        plan: Plan,
        protection: Protection,
        telemetry: Telemetry,
    ) -> None:
        self._telemetry, self._redundant = telemetry, protection.redundant
        regions = regions_of(method.engine, method.bundle, constants, method.resampler)
        self._scrubber = Scrubber(regions if protection.scrub else [], telemetry)
        if not self._scrubber.check():
            raise VerificationError(
                "the network changed in memory before the first tile, when the scene was calibrated with it;"
                " run again"
            )
        every = protection.self_test_every
        self._self_test = _SelfTest(method, self_test_interval(plan) if every is None else every, telemetry)
        self._begun: dict[int, int] = {}
        self.under_way = 0
        """Tiles that were read and not approved, when the last one was."""

    @property
    def passes(self) -> int:
        """Checks of the memory so far."""
        return self._scrubber.passes

    def compute(self, slot: Slot, fuse: Callable[[], Slot]) -> Slot:
        """Compute the product of a slot. Raises VerificationError if computing it again gives another one."""
        self._begun[slot.tile.index] = self._scrubber.generation
        if self._redundant:
            agreed(lambda: fuse().product, slot.tile.index, self._telemetry)
            return slot
        return fuse()

    def approve(self, slot: Slot, again: Callable[[], Slot], under_way: int) -> Slot:
        """The slot, once its product can be trusted; `again` computes it again. Raises VerificationError."""
        tile = slot.tile.index

        def begun_again() -> int:
            again()
            return self._begun[tile]

        self._scrubber.vouch(tile, self._begun[tile], begun_again)
        del self._begun[tile]
        self._self_test.after(tile)
        self.under_way = under_way
        return slot


class _SelfTest:
    """The golden tile, every so many tiles; nothing where there is no bundle to have one."""

    def __init__(self, method: Method, every: int, telemetry: Telemetry) -> None:
        self._engine, self._bundle, self._telemetry = method.engine, method.bundle, telemetry
        self._every = every if isinstance(method.bundle, Bundle) else 0
        self._done = 0
        self._since: list[int] = []

    def after(self, tile: int) -> None:
        """Count a tile, and test if it is time. Raises VerificationError."""
        if not self._every or self._bundle is None:
            return
        self._done += 1
        self._since.append(tile)
        if len(self._since) < self._every:
            return
        from bnnpan_runtime.golden import run_golden

        outcome = run_golden(cast(Backend, self._engine), self._bundle)  # what a bundle runs on is one
        if outcome.passed is None:  # its window is not the golden tile's
            self._every = 0
            return
        if outcome.passed:
            self._telemetry.emit(SELF_TEST_PASSED, tiles_done=self._done)
            self._since.clear()
            return
        self._telemetry.emit(SELF_TEST_FAILED, tiles_done=self._done, detail=outcome.detail)
        for doubtful in self._since:
            self._telemetry.emit(TILE_UNRELIABLE, tile=doubtful, reason="a self-test after it failed")
        raise DistrustError(
            f"the self-test fails after {self._done} tiles ({outcome.detail}); tiles {self._since[0]} to"
            f" {self._since[-1]} cannot be trusted, and nothing is kept: run again"
        )
