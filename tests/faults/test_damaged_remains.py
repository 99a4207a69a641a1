"""Whatever has happened to the hidden files, nothing wrong gets into the product and nothing breaks."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults.small_products import FORM, IDENTITY, SIDE, Command, hidden_files
from faults.test_killed_runs import calls_of, killed
from hypothesis import given
from hypothesis import strategies as st

from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.product.block_file import BlockGrid
from bnnpan_runtime.product.journal import HEADER_BYTES, RECORD_BYTES, DamagedJournal, Header, Journal, Record
from bnnpan_runtime.product.recovery import Unfit, recover

KEPT = 3
"""Blocks of four that the interrupted run has finished."""


@pytest.fixture
def remains(out: Path) -> tuple[Path, Path]:
    """Journal and partial file of a run that was killed when it had finished three blocks."""
    killed(Command(), out, len(calls_of(Command(), out)) - 5)
    return out.with_name(".out.tif.journal"), out.with_name(".out.tif.partial")


def flips(data: bytes, step: int = 1) -> Iterator[bytes]:
    """The data with one bit flipped, in every `step`-th byte."""
    for index in range(0, len(data), step):
        yield data[:index] + bytes([data[index] ^ (1 << index % 8)]) + data[index + 1 :]


def kept(journal: bytes, partial: Path) -> int:
    """Blocks that a run would go on from; -1 if it begins anew."""
    grid = BlockGrid(FORM.height, FORM.width, SIDE, 4, "uint16")
    place = partial.with_name("journal-under-test")
    place.write_bytes(journal)
    with place.open("r+b", buffering=0) as file:
        try:
            recovered = recover(partial, Journal(file), IDENTITY, grid)
        except Unfit:
            return -1
    recovered.file.close()
    return sum(recovered.blocks)


def test_every_flipped_bit_of_the_journal_is_noticed(remains: tuple[Path, Path]):
    journal, partial = remains
    data = journal.read_bytes()
    assert len(data) == HEADER_BYTES + KEPT * RECORD_BYTES
    assert kept(data, partial) == KEPT
    for index, damaged in enumerate(flips(data)):
        assert kept(damaged, partial) == (-1 if index < HEADER_BYTES else KEPT - 1)


def test_a_journal_may_end_anywhere(remains: tuple[Path, Path]):
    journal, partial = remains
    data = journal.read_bytes()
    for length in range(len(data)):
        records = (length - HEADER_BYTES) // RECORD_BYTES
        assert kept(data[:length], partial) == max(records, -1)


def test_every_flipped_bit_of_the_partial_file_is_noticed(remains: tuple[Path, Path]):
    journal, partial = remains
    data, record = partial.read_bytes(), journal.read_bytes()
    first, block = Header.decode(record).first_byte, SIDE**2 * 4
    for index, damaged in zip(range(0, len(data), 97), flips(data, 97), strict=True):
        partial.write_bytes(damaged)
        if index < first:
            assert kept(record, partial) == -1
        else:
            assert kept(record, partial) == (KEPT - 1 if (index - first) // block < KEPT else KEPT)


@pytest.mark.parametrize(
    ("damage", "resumed", "words"),
    [
        (lambda data: data[:5000], 0, "file is damaged"),
        (lambda data: b"", 0, "file is damaged"),
        (lambda data: data + b"more", 0, "file is damaged"),
        (lambda data: bytes(len(data)), 0, "file is damaged"),
        (lambda data: data[:20_000] + bytes(8) + data[20_008:], KEPT - 1, "1 of 3 finished blocks"),
    ],
    ids=["cut off", "empty", "longer", "zeros", "one block"],
)
def test_a_damaged_partial_file_is_made_again_and_the_log_says_so(
    remains: tuple[Path, Path],
    out: Path,
    product: bytes,
    caplog: pytest.LogCaptureFixture,
    damage: object,
    resumed: int,
    words: str,
):
    _, partial = remains
    partial.write_bytes(damage(partial.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert Command().run(out) == resumed
    assert words in caplog.text
    assert (out.read_bytes(), hidden_files(out)) == (product, [])


def test_a_flipped_bit_anywhere_in_blocks_with_padding_does_not_get_into_the_product(out: Path):
    command = Command().of(form=replace(FORM, height=100, width=120))
    count = len(calls_of(command, out))
    command.run(out)
    product = out.read_bytes()
    out.unlink()
    killed(command, out, count - 3)
    journal, partial = out.with_name(".out.tif.journal"), out.with_name(".out.tif.partial")
    record, data = journal.read_bytes(), partial.read_bytes()
    assert data == product
    for damaged in flips(data, 997):
        out.unlink(missing_ok=True)
        journal.write_bytes(record)
        partial.write_bytes(damaged)
        command.run(out)
        assert (out.read_bytes(), hidden_files(out)) == (product, [])


def test_a_damaged_journal_is_made_again(remains: tuple[Path, Path], out: Path, product: bytes):
    journal, partial = remains
    data, pixels = journal.read_bytes(), partial.read_bytes()
    for damaged in (*flips(data, 29), b"junk", bytes(len(data)), data * 3, data + b"x" * 100_000):
        journal.write_bytes(damaged)
        partial.write_bytes(pixels)
        Command().run(out)
        assert (out.read_bytes(), hidden_files(out)) == (product, [])
        out.unlink()


CHANGES = {
    "inputs": "PAN or MS has changed",
    "settings": "another bundle, backend, option or version",
    "constants": "calibrates otherwise",
}


@pytest.mark.parametrize("part", CHANGES)
class TestOfAnotherRun:
    """What is left of a run that would have made another product."""

    def other(self, part: str, resume: bool | None) -> Command:
        return Command().of(identity=replace(IDENTITY, **{part: b"x" * 32}), resume=resume)

    def test_is_replaced_with_a_warning(
        self,
        remains: tuple[Path, Path],
        out: Path,
        product: bytes,
        caplog: pytest.LogCaptureFixture,
        part: str,
    ):
        with caplog.at_level(logging.WARNING):
            assert self.other(part, None).run(out) == 0
        assert "discarded" in caplog.text and CHANGES[part] in caplog.text
        assert (out.read_bytes(), hidden_files(out)) == (product, [])

    def test_is_not_touched_with_resume(
        self, remains: tuple[Path, Path], out: Path, product: bytes, part: str
    ):
        with pytest.raises(OutputError, match=CHANGES[part]):
            self.other(part, True).run(out)
        assert Command().of(resume=True).run(out) == KEPT
        assert out.read_bytes() == product

    def test_is_discarded_with_restart(
        self, remains: tuple[Path, Path], out: Path, caplog: pytest.LogCaptureFixture, part: str
    ):
        assert self.other(part, False).run(out) == 0
        assert not caplog.text


def test_restart_begins_anew(remains: tuple[Path, Path], out: Path, product: bytes):
    assert Command().of(resume=False).run(out) == 0
    assert (out.read_bytes(), hidden_files(out)) == (product, [])


def test_resume_begins_anew_where_nothing_is_left(out: Path, product: bytes):
    assert Command().of(resume=True).run(out) == 0
    assert out.read_bytes() == product


def test_hidden_names_that_are_links_are_not_followed(out: Path, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    out.with_name(".out.tif.journal").symlink_to(precious)
    with pytest.raises(OutputError):
        Command().run(out)
    out.with_name(".out.tif.journal").unlink()
    out.with_name(".out.tif.partial").symlink_to(precious)
    Command().run(out)
    assert precious.read_bytes() == b"precious"


class TestReader:
    """The journal's reader on bytes from anywhere."""

    HEADER = Header(IDENTITY, b"f" * 32, 560, 10_000, 4, 2048)

    @given(st.binary(max_size=1000))
    def test_any_bytes_are_a_journal_or_damaged(self, data: bytes):
        journal = Journal(io.BytesIO(data))
        try:
            journal.header()
        except DamagedJournal:
            return
        pytest.fail("chance has made a header")

    @given(st.binary(max_size=1000))
    def test_any_bytes_after_a_header_are_no_records(self, data: bytes):
        journal = Journal(io.BytesIO(self.HEADER.encode() + data + bytes(RECORD_BYTES)))
        assert journal.header() == self.HEADER
        assert list(journal.records(4)) == []

    @given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16)), max_size=40))
    def test_records_come_back_if_the_product_has_such_blocks(self, content: list[tuple[int, bytes]]):
        records = [Record(*one) for one in content]
        data = b"".join(record.encode(self.HEADER.seed) for record in records)
        journal = Journal(io.BytesIO(self.HEADER.encode() + data))
        journal.header()
        expected = [record for record in records[: 8 * 4] if record.block < 4]
        assert list(journal.records(4)) == expected

    def test_records_of_an_earlier_journal_do_not_count(self):
        earlier = replace(self.HEADER, frame=b"g" * 32)
        data = self.HEADER.encode() + Record(1, b"d" * 16).encode(earlier.seed)
        journal = Journal(io.BytesIO(data))
        journal.header()
        assert list(journal.records(4)) == []
