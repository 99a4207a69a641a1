"""Boards for the tests of whoever flies this: a marker, a fixture, and failures that say what to do.

    @pytest.mark.board("pi-zero-2w", memory="128MiB")
    def test_a_scene_fits(board):
        run = board.run(["bnnpan", "fuse", "--pan", "pan.tif", ..., "--memory", "128MiB"])
        run.assert_succeeded()
        run.assert_peak_within("128MiB")

pytest finds this module by its entry point; until a test asks for `board`, nothing of ours is imported.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .board import Board
    from .limits import Outcome

__all__ = ["BoardRun", "EmulatedBoard"]

_MARKER = "board(name, memory=None, level=1, timeout_seconds=600): board that the fixture `board` emulates"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bnnpan-boards`."""
    group = parser.getgroup("bnnpan boards")
    group.addoption("--bnnpan-boards", type=Path, metavar="DIR", help="folder with boards of your own")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@dataclass(frozen=True)
class BoardRun:
    """A run that has ended, and what may be asserted about it."""

    command: tuple[str, ...]
    board: Board
    level: int
    outcome: Outcome

    @property
    def exit_code(self) -> int:
        """As a shell shows it; 137 when the board's memory was exceeded."""
        return self.outcome.exit_code

    @property
    def stdout(self) -> str:
        """What the command printed."""
        return self.outcome.stdout

    def assert_succeeded(self) -> None:
        """Exit code 0."""
        self.assert_exit_code(0)

    def assert_exit_code(self, expected: int) -> None:
        """That very exit code; 3 to 9 are refusals, see `bnnpan --help`."""
        __tracebackhide__ = True
        if self.exit_code != expected:
            self._fail(f"ended with {self.exit_code}, expected {expected}{self._why()}")

    def assert_killed(self) -> None:
        """The board's memory was exceeded and the run was killed for it."""
        __tracebackhide__ = True
        if not self.outcome.killed:
            self._fail(f"was not killed: it needed {self._peak()} of {self._limit()}")

    def assert_peak_within(self, size: str | int) -> None:
        """The process never held more memory than that."""
        from bnnpan_runtime.memory import format_size, parse_size

        __tracebackhide__ = True
        if self.level != 1:
            pytest.fail("memory is not measured at level 2, where it is the emulator's; assert it at level 1")
        most_bytes = parse_size(size)
        over_bytes = self.outcome.peak_bytes - most_bytes
        if over_bytes > 0:
            more = f"{format_size(over_bytes)} more than {format_size(most_bytes)}"
            self._fail(f"held {self._peak()} at its peak, {more}")

    def assert_same_file(self, made: Path | str, expected: Path | str) -> None:
        """Two files, such as products, are the same byte for byte."""
        __tracebackhide__ = True
        digests = []
        for path in (Path(made), Path(expected)):
            if not path.is_file():
                self._fail(f"left no {path}{self._why()}")
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        if digests[0] != digests[1]:
            self._fail(f"made {made} with sha256 {digests[0][:16]}, {expected} has {digests[1][:16]}")

    def _why(self) -> str:
        from .scenes import last_line

        if self.outcome.timed_out:
            return ": it took too long and was ended"
        if self.outcome.killed:
            return f": it exceeded {self._limit()} and was killed by {self.outcome.enforced_by}"
        return f": {last_line(self.outcome.stderr)}"

    def _peak(self) -> str:
        from bnnpan_runtime.memory import format_size

        return format_size(self.outcome.peak_bytes)

    def _limit(self) -> str:
        from bnnpan_runtime.memory import format_size

        return format_size(self.outcome.limit_bytes)

    def _fail(self, what: str) -> None:
        __tracebackhide__ = True
        name = " ".join(self.command[:2])
        pytest.fail(f"{name} on {self.board.name}, level {self.level}, {what}", pytrace=False)


@dataclass(frozen=True)
class EmulatedBoard:
    """What the fixture gives. `memory_bytes` is what a run may take."""

    board: Board
    memory_bytes: int
    level: int
    timeout_seconds: float

    def run(self, command: Sequence[str | Path]) -> BoardRun:
        """Run a command to its end. At level 2 it has to be `bnnpan`."""
        words = [str(word) for word in command]
        return BoardRun(tuple(words), self.board, self.level, self._outcome(words))

    def _outcome(self, words: Sequence[str]) -> Outcome:
        from .job import Job
        from .levels import level
        from .limits import choose_limiter, run_limited

        seconds = self.timeout_seconds
        if words[0] == "bnnpan":
            return level(self.level).run(Job(words[1:], self.board, self.memory_bytes, seconds))
        if self.level != 1:
            raise ValueError(f"at level {self.level} only bnnpan can be run, not {words[0]}")
        real = [sys.executable, *words[1:]] if words[0] == "python" else words
        limiter, cores = choose_limiter(), self.board.cores
        return run_limited(real, self.memory_bytes, limiter, cores=cores, timeout_seconds=seconds)


@pytest.fixture
def board(request: pytest.FixtureRequest) -> EmulatedBoard:
    """The board that the marker names. Skips where its level was not prepared, and says how to."""
    from bnnpan_runtime.errors import ConfigError
    from bnnpan_runtime.memory import format_size, parse_size

    from .board import load_board
    from .levels import level

    marker = request.node.get_closest_marker("board")
    if marker is None:
        pytest.fail('the fixture `board` needs a marker: @pytest.mark.board("pi-zero-2w")', pytrace=False)
    wanted = _arguments(*marker.args, **marker.kwargs)
    if wanted["level"] not in (1, 2):
        pytest.fail("the fixture `board` knows levels 1 and 2; for 3 use `bnnpan sim run`", pytrace=False)
    try:
        profile = load_board(wanted["name"], request.config.getoption("--bnnpan-boards"))
        level(wanted["level"])
    except ConfigError as error:
        if "is not prepared" in str(error):
            pytest.skip(str(error))
        pytest.fail(str(error), pytrace=False)
    size = wanted["memory"]
    memory_bytes = profile.application_bytes if size is None else parse_size(size)
    if memory_bytes > profile.application_bytes:
        most = format_size(profile.application_bytes)
        pytest.fail(f"{profile.name} leaves {most} to an application, not {size}", pytrace=False)
    return EmulatedBoard(profile, memory_bytes, wanted["level"], wanted["timeout_seconds"])


def _arguments(
    name: str, memory: str | int | None = None, level: int = 1, timeout_seconds: float = 600.0
) -> dict[str, Any]:
    return {"name": name, "memory": memory, "level": level, "timeout_seconds": timeout_seconds}
