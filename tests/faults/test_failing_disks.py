"""Disks that fill up or fail on the way: one clear error, and the same command completes the product."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from faults.file_calls import failing_at, watching
from faults.small_products import Command, hidden_files, must_be_continued
from faults.test_killed_runs import calls_of

from bnnpan_runtime.errors import OutputError


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_at_every_call(product: bytes, out: Path, code: int, lasting: bool):
    command, kept = Command(), set()
    for index, name in enumerate(calls_of(command, out)):
        try:
            with watching(failing_at(index, code, lasting=lasting)):
                command.run(out)
        except OutputError as error:
            assert str(out) in str(error) and "writing failed" in str(error)
            assert bool(hidden_files(out)) == bool(getattr(error, "__notes__", [])) or name == "unlink"
        else:
            # Half a write is gone on with, and a full disk may have room again.
            assert (code, name, lasting) == (errno.ENOSPC, "pwrite", False)
        if must_be_continued(out):
            kept.add(command.run(out))
        assert (out.read_bytes(), hidden_files(out)) == (product, [])
        out.unlink()
    assert kept == {0, 1, 2, 3, 4}


def test_what_a_sync_has_refused_is_not_recorded_by_the_next(product: bytes, out: Path):
    """After an error the kernel takes lost pages for written: only a new write brings them to the disk."""
    command = Command()
    syncs = [index for index, name in enumerate(calls_of(command, out)) if name == "fdatasync"]
    second_tile = syncs[4]
    with (
        pytest.raises(OutputError) as failure,
        watching(failing_at(second_tile, errno.EIO, lasting=False)),
    ):
        command.run(out)
    assert failure.value.__notes__ == [
        "1 of 4 blocks of out.tif are kept; run the same command again to go on from there"
    ]
    assert command.run(out) == 1
    assert out.read_bytes() == product
