from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import Processor, board_names, load_board

OWN_BOARD = """
title = "Bread board"
cpu = "Cortex-A35"
cores = 2
features = ["asimd"]
ram_mib = 256
os_share_mib = 96
storage = "NOR flash"
"""


BOARDS = [
    "pi-zero-2w",
    "pi-3b-plus",
    "pi-4b-1g",
    "cm4-2g",
    "flight-quad-a53",
    "pi-4b-2g",
    "jetson-nano-4g",
    "pi-4b-4g",
    "pi-5-4g",
    "jetson-orin-nano-8g",
    "jetson-xavier-nx-8g",
    "pi-4b-8g",
]


def test_boards_come_with_the_package_smallest_first() -> None:
    assert board_names() == BOARDS


@pytest.mark.parametrize("name", BOARDS)
def test_every_figure_of_a_board_is_known_and_has_a_source(name: str) -> None:
    board = load_board(name)
    figures = set(board.to_json()) - {"name", "title", "sources", "application_bytes"}
    assert board.name == name
    assert all(getattr(board, figure) is not None for figure in figures)
    assert set(board.sources) == figures


@pytest.mark.parametrize("name", BOARDS)
def test_figures_of_a_board_are_plausible(name: str) -> None:
    board = load_board(name)
    assert 400 <= (board.clock_mhz or 0) <= 3000
    assert 0 < (board.idle_watts or 0) < (board.busy_watts or 0) < 30
    assert (board.storage_write_mb_per_second or 0) <= (board.storage_read_mb_per_second or 0)
    assert isinstance(board.processor, Processor) and board.processor.l1_data_kib < board.processor.l2_kib
    assert {"asimd", "crc32"} <= set(board.features)


def test_a_board_may_say_only_what_differs_from_another(write: Callable[[str, str], Path]) -> None:
    text = "extends = 'pi-4b-2g'\ntitle = 'Slow'\nclock_mhz = 600\n[sources]\nclock_mhz = 'our data sheet'"
    board = load_board(str(write("slow.toml", text)))
    assert (board.name, board.clock_mhz, board.ram_mib) == ("slow", 600, 2048)
    assert board.sources["clock_mhz"] == "our data sheet"
    assert board.sources["ram_mib"] == load_board("pi-4b-2g").sources["ram_mib"]


def test_a_folder_of_boards_goes_before_those_of_the_package(
    write: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("pi-zero-2w.toml", "extends = 'pi-zero-2w'\ntitle = 'Ours'\nos_share_mib = 200")
    write("bread.toml", OWN_BOARD)
    assert "bread" in board_names(tmp_path) and "bread" not in board_names()
    assert load_board("pi-zero-2w", tmp_path).title == "Ours"
    monkeypatch.setenv("BNNPAN_BOARDS", str(tmp_path))
    assert load_board("bread").cores == 2


@pytest.mark.parametrize(("base", "message"), [("pi-9", "is unknown"), ("self", "leads back to itself")])
def test_a_wrong_base_is_refused(write: Callable[[str, str], Path], base: str, message: str) -> None:
    other = write("other.toml", "extends = 'self'")
    path = write("self.toml", f"extends = {('other' if base == 'self' else base)!r}")
    assert other.parent == path.parent
    with pytest.raises(ConfigError, match=message):
        load_board(str(path))


def test_an_application_gets_what_the_operating_system_leaves() -> None:
    board = load_board("pi-zero-2w")
    assert board.application_bytes == (512 - 160) * 2**20


def test_a_board_of_ones_own_is_read_from_its_file(write: Callable[[str, str], Path]) -> None:
    board = load_board(str(write("bread-board.toml", OWN_BOARD)))
    assert (board.name, board.cores, board.features) == ("bread-board", 2, ("asimd",))
    assert board.application_bytes == 160 * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cores = 2", "cores = 2\ncolour = 'green'"), "unknown key 'colour'"),
        (("ram_mib = 256", ""), "'ram_mib' is missing"),
        (("ram_mib = 256", "ram_mib = '256'"), "'ram_mib' is '256', but must be a whole number"),
        (("cores = 2", "cores = 0"), "'cores' is 0, but must be at least 1"),
        (("cores = 2", "cores = true"), "'cores' is True, but must be a whole number"),
        (("os_share_mib = 96", "os_share_mib = 256"), "leaves nothing of 256 MiB"),
        (("cores = 2", "cores 2"), "not TOML"),
    ],
)
def test_a_wrong_board_file_is_refused_by_name(
    write: Callable[[str, str], Path], change: tuple[str, str], message: str
) -> None:
    path = write("board.toml", OWN_BOARD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        load_board(str(path))
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_unknown_and_missing_boards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="board 'pi-9' is unknown"):
        load_board("pi-9")
    with pytest.raises(ConfigError, match="No such file"):
        load_board(str(tmp_path / "absent.toml"))
