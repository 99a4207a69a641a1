"""The page of board profiles says what the profiles say."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_table_is_that_of_the_profiles(repo_root: Path) -> None:
    script = runpy.run_path(str(repo_root / "docs" / "board_profiles.py"))
    page = script["PAGE"].read_text()
    assert script["updated"](page) == page, "run: python docs/board_profiles.py"
