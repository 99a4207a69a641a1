"""A product that is a compressed copy of its blocks is lost no more easily than a plain one."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from faults.file_calls import Moment, Watched, dying_at, failing_at, watching
from faults.small_products import Command, hidden_files, picture, small_blocks

from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.finishing.cog import CogWriter
from bnnpan_runtime.product.mosaic import check_output, open_mosaic
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.tiles import tiles


def nothing() -> None:
    pass


@dataclass(frozen=True)
class CogCommand(Command):
    """The same command again and again, with a compressed copy as its last step."""

    def run(self, out: Path) -> int:
        order, resumed = replace(self.order, copied=True), 0
        pixels = picture(order.form)
        check_output(out, (), order.overwrite)
        with small_blocks(), open_mosaic(out, order) as mosaic:
            for tile in tiles(order.form.height, order.form.width, self.tile, 0):
                core = tile.core
                if mosaic.has(core):
                    resumed += 1
                    continue
                mosaic.write(core, pixels[:, core.row :, core.col :][:, : core.height, : core.width])
            mosaic.close()
            if mosaic.is_copy:
                mosaic.commit()
                return resumed
            copy = out.with_name(f".{out.name}.copy")
            blocks = mosaic.sheets.pixels
            try:
                with CogWriter.beside(out, blocks, order.form.nodata) as writer:
                    writer.write(copy, writer.survey(nothing), nothing)
            except OSError as error:
                raise OutputError(str(error)) from error
            mosaic.commit(copy, sha256_of(copy))
        return resumed


@pytest.fixture
def cog(out: Path) -> bytes:
    CogCommand().run(out)
    product = out.read_bytes()
    out.unlink()
    return product


class TestInterrupted:
    def calls(self, out: Path) -> list[str]:
        names: list[str] = []

        def note(call: Watched) -> object:
            names.append(call.name)
            return call.do()

        with watching(note):
            CogCommand().run(out)
        out.unlink()
        return names

    @pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.exhaustive)])
    def test_killed_at_any_call_it_is_completed_by_the_same_command(self, out: Path, cog: bytes, step: int):
        names = self.calls(out)
        resumed = []
        for index in sorted({*range(0, len(names), step), *range(len(names) - 12, len(names))}):
            moments: tuple[Moment, ...] = (
                ("before", "torn") if names[index] == "pwrite" else ("before", "after")
            )
            for moment in moments:
                self.kill(out, index, moment)
                if not out.exists() or hidden_files(out):
                    resumed.append(CogCommand().run(out))
                assert (out.read_bytes(), hidden_files(out)) == (cog, []), (index, names[index], moment)
                out.unlink()
        assert resumed[-1] == 4 and 0 in resumed

    def kill(self, out: Path, index: int, moment: Moment) -> None:
        child = os.fork()
        if child == 0:
            try:
                with watching(dying_at(index, moment)):
                    CogCommand().run(out)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
    def test_refused_by_the_disk_at_any_write_it_says_so_and_can_be_gone_on_with(
        self, out: Path, cog: bytes, code: int
    ):
        names = self.calls(out)
        copying = [index for index, name in enumerate(names) if name in ("pwrite", "fdatasync", "fsync")][
            -24:
        ]
        for index in copying:
            with pytest.raises(OutputError), watching(failing_at(index, code, lasting=code == errno.ENOSPC)):
                CogCommand().run(out)
            assert out.with_name(f".{out.name}.partial").exists() or out.exists()
            CogCommand().run(out)
            assert (out.read_bytes(), hidden_files(out)) == (cog, [])
            out.unlink()

    def test_the_disk_holds_the_copy_and_its_record_before_it_gets_the_name(self, out: Path):
        """What a power cut may undo is never what the next step relies on."""
        calls: list[tuple[str, str]] = []

        def note(call: Watched) -> object:
            first = call.arguments[0]
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            calls.append((call.name, path))
            return call.do()

        with watching(note):
            CogCommand().run(out)
        copy, journal = (str(out.with_name(f".{out.name}.{kind}")) for kind in ("copy", "journal"))
        named = calls.index(("replace", copy))
        for path in (copy, journal):
            synced = max(index for index, call in enumerate(calls[:named]) if call == ("fdatasync", path))
            assert ("pwrite", path) in calls[:synced] and ("pwrite", path) not in calls[synced:]
        removed = calls.index(("unlink", str(out.with_name(f".{out.name}.partial"))), named)
        assert named < calls.index(("fsync", str(out.parent)), named) < removed
        assert removed < calls.index(("unlink", journal))

    def test_a_file_that_is_not_its_own_is_never_taken_for_its_product(self, out: Path, cog: bytes):
        names = self.calls(out)
        self.kill(out, len(names) - 1 - names[::-1].index("replace"), "after")
        assert hidden_files(out) == [".out.tif.journal", ".out.tif.partial"]
        out.write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists"):
            CogCommand().run(out)
        assert out.read_bytes() == b"precious"
        CogCommand().of(overwrite=True).run(out)
        assert (out.read_bytes(), hidden_files(out)) == (cog, [])
