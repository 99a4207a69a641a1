"""`kill -9` at every call by which a run changes files: the same command again completes the product."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from faults.file_calls import NAMES, Moment, Watched, dying_at, watching
from faults.small_products import FORM, Command, hidden_files, must_be_continued

from bnnpan_runtime.errors import OutputError


def calls_of(command: Command, out: Path) -> list[str]:
    """Names of all calls of an undisturbed run."""
    names: list[str] = []

    def note(call: Watched) -> object:
        names.append(call.name)
        return call.do()

    with watching(note):
        command.run(out)
    out.unlink()
    return names


def killed(command: Command, out: Path, index: int, moment: Moment = "before") -> None:
    """Run in a process of its own, which dies at one call."""
    child = os.fork()
    if child == 0:
        try:
            with watching(dying_at(index, moment)):
                command.run(out)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, (index, moment)


def moments(name: str) -> tuple[Moment, ...]:
    return ("before", "torn", "after") if name == "pwrite" else ("before", "after")


def recovered(command: Command, out: Path, product: bytes) -> int:
    """Run the same command again; the tiles it did not have to make, -1 if there was nothing left to do."""
    resumed = command.run(out) if must_be_continued(out) else -1
    assert out.read_bytes() == product
    assert hidden_files(out) == []
    out.unlink()
    return resumed


def test_at_every_call(product: bytes, out: Path):
    command = Command()
    names = calls_of(command, out)
    assert set(names) == set(NAMES)
    resumed = []
    for index, name in enumerate(names):
        for moment in moments(name):
            killed(command, out, index, moment)
            resumed.append(recovered(command, out, product))
    # The later it is killed, the more is kept; in the end only the exit code is missing.
    assert resumed[:-1] == sorted(resumed[:-1]) and resumed[-1] == -1
    assert set(resumed) == {-1, 0, 1, 2, 3, 4}


@pytest.mark.parametrize("step", [43, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("tile", [32, 50])
def test_at_every_call_of_tiles_that_share_blocks(out: Path, tile: int, step: int):
    command = Command(tile=tile).of(form=replace(FORM, width=120))
    Command().of(form=command.order.form).run(out)
    product = out.read_bytes()
    out.unlink()
    names = calls_of(command, out)
    for index in range(0, len(names), step):
        for moment in moments(names[index]):
            killed(command, out, index, moment)
            recovered(command, out, product)


def test_again_and_again(product: bytes, out: Path):
    """A board that resets every few moments gets there in the end."""
    command = Command()
    for index in (15, 3, 3, 3):  # a run that goes on begins with the pixels of its first tile
        killed(command, out, index, "after")
    assert recovered(command, out, product) == 4


@pytest.mark.parametrize(("first", "second"), [(64, 32), (32, 64), (48, 64), (64, 48), (50, 30), (64, 128)])
def test_whatever_the_tiles_of_the_two_runs_are(product: bytes, out: Path, first: int, second: int):
    index = int(0.85 * len(calls_of(Command(tile=first), out)))
    killed(Command(tile=first), out, index)
    kept = recovered(Command(tile=second), out, product)
    assert kept > 0 or second == 128  # of which there is but one


@pytest.mark.parametrize("kind", ["journal", "partial"])
def test_with_one_of_the_two_files_lost_it_is_begun_anew(product: bytes, out: Path, kind: str):
    killed(Command(), out, 20)
    out.with_name(f".out.tif.{kind}").unlink()
    assert recovered(Command(), out, product) == 0


def test_an_older_product_stays_until_the_new_one_is_complete(product: bytes, out: Path):
    replacing = Command().of(overwrite=True)
    for index in range(0, len(calls_of(Command(), out)), 3):
        out.write_bytes(b"precious")
        killed(replacing, out, index)
        if out.read_bytes() == b"precious":
            with pytest.raises(OutputError, match="exists"):
                Command().run(out)
            assert out.read_bytes() == b"precious"
        replacing.run(out)
        assert (out.read_bytes(), hidden_files(out)) == (product, [])


def test_a_product_whose_journal_was_left_is_known_to_be_complete(product: bytes, out: Path):
    names = calls_of(Command(), out)
    killed(Command(), out, len(names) - 1)
    assert (out.read_bytes(), hidden_files(out)) == (product, [".out.tif.journal"])
    written = out.stat()
    assert Command().run(out) == 4
    assert out.stat().st_ino == written.st_ino and out.stat().st_mtime_ns == written.st_mtime_ns
    assert hidden_files(out) == []


def test_a_journal_that_was_left_beside_another_product_counts_for_nothing(product: bytes, out: Path):
    killed(Command(), out, len(calls_of(Command(), out)) - 1)
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"):
        Command().run(out)
    assert (out.read_bytes(), hidden_files(out)) == (b"precious", [])
