"""The table of `docs/reference/board-profiles.md`, made from the profiles of `bnnpan sim`.

python docs/board_profiles.py            writes it; a test fails while the page says something else
"""

from __future__ import annotations

import re
from pathlib import Path

from bnnpan_runtime.memory import format_size
from bnnpan_sim.board import Board, board_names, load_board

PAGE = Path(__file__).resolve().parent / "reference" / "board-profiles.md"
_MARKED = re.compile(r"(<!-- boards: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("board", "computer", "cores", "GHz", "memory", "storage, MB/s", "W, idle to busy")


def updated(page: str) -> str:
    """The page with its table as it should be."""
    lines = (_HEAD, ["---"] * len(_HEAD), *(_row(load_board(name)) for name in board_names()))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return _MARKED.sub(lambda match: f"{match[1]}\n{table}\n{match[2]}", page)


def _row(board: Board) -> tuple[str, ...]:
    clock = f"{board.clock_mhz / 1000:.1f}" if board.clock_mhz else "?"
    memory = f"{format_size(board.ram_mib * 2**20)}, {format_size(board.application_bytes)} left"
    storage = f"{board.storage_read_mb_per_second or '?'}, {board.storage_write_mb_per_second or '?'}"
    watts = f"{board.idle_watts or '?'} to {board.busy_watts or '?'}"
    return f"`{board.name}`", board.title, f"{board.cores} x {board.cpu}", clock, memory, storage, watts


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
