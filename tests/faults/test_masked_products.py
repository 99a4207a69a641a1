"""Products with a mask, with blocks made again, cut short: killed at every call, both files come right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from faults.file_calls import Moment, Watched, watching
from faults.small_products import FORM, IDENTITY, SIDE, hidden_files, picture, small_blocks
from faults.test_killed_runs import killed, moments
from raw_scenes import read_raster

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.product.mask import MaskOrder, PixelClass
from bnnpan_runtime.product.mosaic import Inspection, Order, check_output, open_mosaic
from bnnpan_runtime.tiles import tiles

REPLACED = 5


class Inspector:
    """Makes every other block again, of one DN, and notes which it has seen."""

    def inspect(self, area: Window, pixels: np.ndarray) -> Inspection:
        block = area.row // SIDE * 2 + area.col // SIDE
        if block % 2:
            pixels[...] = REPLACED
        return Inspection(bool(block % 2), b"%04d" % block)


@dataclass(frozen=True)
class MaskedCommand:
    """The same command again and again; `most` tiles of it come before a deadline."""

    tile: int = SIDE
    most: int = 1000
    overwrite: bool = False

    def run(self, out: Path) -> list[bytes]:
        """Make the product and its mask; the notes of what was kept."""
        mask = mask_of(out)
        order = Order(
            FORM,
            {"MAKER": "test"},
            IDENTITY,
            overwrite=self.overwrite,
            mask=MaskOrder(mask),
            note_bytes=4,
            late_bytes=200,
        )
        check_output(out, (), self.overwrite)
        pixels, done = picture(FORM), 0
        with small_blocks(), open_mosaic(out, order) as mosaic:
            mosaic.inspect_with(Inspector())
            for one in tiles(FORM.height, FORM.width, self.tile, 0):
                core = one.core
                if mosaic.has(core) or done == self.most:
                    continue
                part = pixels[:, core.row : core.row + core.height, core.col : core.col + core.width]
                classes = np.full((1, core.height, core.width), PixelClass.NETWORK, np.uint8)
                mosaic.write(core, part, classes)
                done += 1
            mosaic.drop_incomplete()
            missing = mosaic.missing_pixels
            mosaic.close({"LATE": f"{missing} missing"}, is_partial=missing > 0)
            mosaic.commit()
            return mosaic.notes


def mask_of(out: Path) -> Path:
    return out.with_name("mask.tif")


def agree(out: Path) -> None:
    """Whatever is there under a name of its own is of one run: the mask never speaks of another product."""
    if not out.exists() or not mask_of(out).exists():
        return
    pixels, classes = read_raster(out), read_raster(mask_of(out))[0]
    assert not pixels[:, classes == PixelClass.MISSING].any()
    assert (pixels[:, classes == PixelClass.CLASSICAL] == REPLACED).all()
    expected = picture(FORM)
    network = classes == PixelClass.NETWORK
    assert np.array_equal(pixels[:, network], expected[:, network])


def calls_of(command: MaskedCommand, out: Path) -> list[str]:
    names: list[str] = []

    def note(call: Watched) -> object:
        names.append(call.name)
        return call.do()

    with watching(note):
        command.run(out)
    return names


def clear(out: Path) -> None:
    for path in out.parent.iterdir():
        path.unlink()


@pytest.fixture
def whole(out: Path) -> tuple[bytes, bytes]:
    """What an undisturbed run makes."""
    MaskedCommand().run(out)
    made = out.read_bytes(), mask_of(out).read_bytes()
    classes = read_raster(mask_of(out))[0]
    assert [int(classes[row, col]) for row in (0, 64) for col in (0, 64)] == [1, 2, 1, 2]
    clear(out)
    return made


def complete(out: Path, whole: tuple[bytes, bytes], tile: int = SIDE) -> None:
    agree(out)
    if not out.exists() or hidden_files(out):
        MaskedCommand(tile=tile).run(out)
    assert (out.read_bytes(), mask_of(out).read_bytes()) == whole
    assert hidden_files(out) == []
    clear(out)


def places(names: list[str], step: int) -> list[tuple[int, Moment]]:
    every = [(index, moment) for index, name in enumerate(names) for moment in moments(name)]
    return every[::step]


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_call(out: Path, whole: tuple[bytes, bytes], step: int):
    names = calls_of(MaskedCommand(), out)
    clear(out)
    for index, moment in places(names, step):
        killed(MaskedCommand(), out, index, moment)
        complete(out, whole)


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_while_a_partial_product_is_left_and_while_it_is_completed(
    out: Path, whole: tuple[bytes, bytes], step: int
):
    partial = MaskedCommand(most=2)
    names = calls_of(partial, out)
    assert b"LATE" in out.read_bytes() and hidden_files(out) == [".out.tif.journal"]
    clear(out)
    for index, moment in places(names, step):
        killed(partial, out, index, moment)
        complete(out, whole, tile=32)
    partial.run(out)
    names = calls_of(MaskedCommand(), out)
    clear(out)
    for index, moment in places(names, step):
        partial.run(out)
        agree(out)
        killed(MaskedCommand(), out, index, moment)
        complete(out, whole)


def test_killed_while_older_files_are_replaced(out: Path, whole: tuple[bytes, bytes]):
    names = calls_of(MaskedCommand(overwrite=True), out)
    for index in range(len(names) - 12, len(names)):
        out.write_bytes(b"old product")
        mask_of(out).write_bytes(b"old mask")
        killed(MaskedCommand(overwrite=True), out, index)
        if mask_of(out).exists() and mask_of(out).read_bytes() == b"old mask":
            assert out.read_bytes() == b"old product"
        MaskedCommand(overwrite=True).run(out)
        assert (out.read_bytes(), mask_of(out).read_bytes()) == whole
        assert hidden_files(out) == []


def test_notes_of_kept_blocks_come_back(out: Path):
    MaskedCommand(most=3).run(out)
    assert sorted(MaskedCommand().run(out)) == [b"0000", b"0001", b"0002"]


def test_a_flipped_bit_of_the_mask_makes_its_block_again(out: Path, whole: tuple[bytes, bytes]):
    MaskedCommand(most=3).run(out)
    data = bytearray(mask_of(out).read_bytes())
    data[-(SIDE**2) * 4 + 7] ^= 2  # of the first block
    mask_of(out).write_bytes(data)
    assert len(MaskedCommand().run(out)) == 2
    assert (out.read_bytes(), mask_of(out).read_bytes()) == whole


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no mask")])
def test_without_its_mask_a_partial_product_is_not_gone_on_with(out: Path, change: object):
    MaskedCommand(most=3).run(out)
    change(mask_of(out))  # type: ignore[operator]
    with pytest.raises(OutputError, match="exists"):
        MaskedCommand().run(out)


def test_a_mask_that_is_there_is_not_replaced(out: Path):
    mask_of(out).write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"mask\.tif exists"):
        MaskedCommand().run(out)
    assert mask_of(out).read_bytes() == b"precious"
    assert [path.name for path in out.parent.iterdir() if path.stat().st_size] == ["mask.tif"]


def test_two_products_cannot_have_one_mask_at_the_same_time(out: Path):
    other = replace(Order(FORM, {}, IDENTITY), mask=MaskOrder(mask_of(out)))
    with small_blocks(), open_mosaic(out.with_name("other.tif"), other):
        with pytest.raises(OutputError, match="another run"):
            MaskedCommand().run(out)


@pytest.mark.parametrize("tile", [SIDE // 2, SIDE])
def test_what_a_killed_run_wrote_but_did_not_record_is_missing_from_a_partial_product(out: Path, tile: int):
    """Its blocks were written, and the run that ends in time does not come to them."""
    calls = calls_of(MaskedCommand(tile=tile), out)
    clear(out)
    for index in range(0, len(calls), 3):
        killed(MaskedCommand(tile=tile), out, index)
        if not out.exists() and hidden_files(out):
            MaskedCommand(tile=tile, most=1).run(out)
            agree(out)
            classes = read_raster(mask_of(out))[0]
            assert f"{int((classes == PixelClass.MISSING).sum())} missing".encode() in out.read_bytes()
        clear(out)


def test_a_mask_that_has_its_name_stays_when_the_same_product_is_finished_otherwise(
    out: Path, whole: tuple[bytes, bytes]
):
    calls = calls_of(MaskedCommand(), out)
    clear(out)
    killed(MaskedCommand(), out, len(calls) - 1)
    assert mask_of(out).exists() and ".out.tif.journal" in hidden_files(out)
    order = replace(Order(FORM, {"MAKER": "test"}, IDENTITY), mask=MaskOrder(mask_of(out)), note_bytes=4)
    with small_blocks(), open_mosaic(out, replace(order, late_bytes=200, overwrite=True)) as mosaic:
        copy = out.with_name(".out.tif.copy")
        copy.write_bytes(b"copy")
        mosaic.close({"LATE": "0 missing"})
        mosaic.commit(copy, "00" * 32)
    assert out.read_bytes() == b"copy" and mask_of(out).read_bytes() == whole[1]


def test_the_mask_of_another_product_is_not_taken(out: Path, whole: tuple[bytes, bytes]):
    killed_half_way(out)
    out.with_name(".mask.tif.partial").unlink()
    mask_of(out).write_bytes(whole[1])
    with pytest.raises(OutputError, match=r"exists"):
        MaskedCommand().run(out)
    assert mask_of(out).read_bytes() == whole[1]


def test_what_a_deadline_has_published_is_not_begun_anew_by_a_run_that_resumes(out: Path):
    MaskedCommand(most=2).run(out)
    published = out.read_bytes()
    other = Order(FORM, {"MAKER": "test"}, replace(IDENTITY, settings=b"t" * 32))
    other = replace(other, mask=MaskOrder(mask_of(out)), note_bytes=4, late_bytes=200)
    with pytest.raises(OutputError, match="cannot be resumed"), small_blocks():
        with open_mosaic(out, replace(other, resume=True, overwrite=True)):
            pass
    assert out.read_bytes() == published and hidden_files(out) == [".out.tif.journal"]


def test_a_copy_that_was_not_finished_does_not_stay(out: Path):
    killed_half_way(out)
    out.with_name(".out.tif.copy").write_bytes(b"half")
    MaskedCommand().run(out)
    assert hidden_files(out) == []


def killed_half_way(out: Path) -> None:
    calls = calls_of(MaskedCommand(), out)
    clear(out)
    killed(MaskedCommand(), out, len(calls) // 2)


def test_a_run_that_is_refused_leaves_no_journal(out: Path):
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"), small_blocks():
        with open_mosaic(out, Order(FORM, {}, IDENTITY)):
            pass
    assert hidden_files(out) == []
