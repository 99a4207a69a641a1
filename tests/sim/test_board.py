from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import board_names, load_board

OWN_BOARD = """
title = "Bread board"
cpu = "Cortex-A35"
cores = 2
features = ["asimd"]
ram_mib = 256
os_share_mib = 96
storage = "NOR flash"
"""


def test_boards_come_with_the_package_smallest_first() -> None:
    assert board_names() == ["pi-zero-2w", "pi-3b-plus", "pi-4b-2g", "jetson-nano-4g"]


@pytest.mark.parametrize("name", ["pi-zero-2w", "pi-3b-plus", "pi-4b-2g", "jetson-nano-4g"])
def test_every_figure_of_a_board_has_a_source(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert set(board.sources) == {"cpu", "cores", "features", "ram_mib", "os_share_mib", "storage"}


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
